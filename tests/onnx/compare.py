"""Compares an ONNX file with the predictions that `odeon predict` wrote.

usage: compare.py MODEL.onnx DATA.csv PREDICTIONS.csv MISSING_WORD...

Prints the number of rows and the largest difference of a number; exits with 1 if a label differs, or a number by more
than one part in a thousand million.
"""
import csv
import sys

import numpy
import onnxruntime

TOLERANCE = 1e-9


def column(session_input, rows, missing):
    cells = [row[session_input.name] for row in rows]
    if session_input.type == "tensor(string)":
        return numpy.array(cells, dtype=object).reshape(-1, 1)
    numbers = [float("nan") if cell in missing else float(cell) for cell in cells]
    return numpy.array(numbers, dtype=numpy.float64).reshape(-1, 1)


def main(model, data, predictions, *missing):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with open(data, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(predictions, newline="") as file:
        expected = list(csv.reader(file))[1:]
    feed = {one.name: column(one, rows, missing) for one in session.get_inputs()}
    outputs = dict(zip([one.name for one in session.get_outputs()], session.run(None, feed)))
    if "prediction" in outputs:
        numbers, given = outputs["prediction"].reshape(-1, 1), [[float(row[0])] for row in expected]
    else:
        scores = "probabilities" if "probabilities" in outputs else "margins"
        numbers, given = outputs[scores], [[float(cell) for cell in row[1:]] for row in expected]
        labels = [str(label) for label in outputs["label"]]
        wrong = [at for at, row in enumerate(expected) if row[0] != labels[at]]
        if wrong:
            sys.exit(f"{len(wrong)} labels differ, first in row {wrong[0]}: {labels[wrong[0]]} for {expected[wrong[0]][0]}")
    given = numpy.array(given)
    if numbers.shape != given.shape or numbers.dtype != numpy.float64:
        sys.exit(f"shape {numbers.shape} of {numbers.dtype} for {given.shape}")
    worst = float(numpy.max(numpy.abs(numbers - given) / numpy.maximum(1.0, numpy.abs(given))))
    print(f"{len(given)} rows, largest difference {worst:.1e}")
    if not worst <= TOLERANCE:
        sys.exit(1)


main(*sys.argv[1:])
