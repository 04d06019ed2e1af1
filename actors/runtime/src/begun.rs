//! `begun`: a future that has begun when the call returns.

use futures_util::FutureExt;
use std::pin::Pin;

/// Polls a future once, so that what it does first is done in the order of these calls, whoever polls it from now on
/// and when. An actor polls what it has spawned in no particular order.
pub fn begun<T: 'static>(future: impl Future<Output = T> + 'static) -> Pin<Box<dyn Future<Output = T>>> {
    let mut future = Box::pin(future);
    match future.as_mut().now_or_never() {
        Some(done) => Box::pin(std::future::ready(done)),
        // The next poll brings the waker.
        None => future,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;
    use tokio::sync::oneshot;

    #[actix_rt::test]
    async fn what_comes_first_is_done_in_the_order_of_the_calls() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let step = |number: u32, end: oneshot::Receiver<()>| {
            let order = Rc::clone(&order);
            begun(async move {
                order.borrow_mut().push(number);
                end.await.map(|()| number)
            })
        };
        let ((end_first, first), (end_second, second)) = (oneshot::channel(), oneshot::channel());
        let (first, second) = (step(1, first), step(2, second));
        assert_eq!(*order.borrow(), [1, 2]);
        end_second.send(()).expect("it waits");
        end_first.send(()).expect("it waits");
        assert_eq!((second.await, first.await), (Ok(2), Ok(1)));
        assert_eq!(begun(async { 3 }).await, 3);
    }
}
