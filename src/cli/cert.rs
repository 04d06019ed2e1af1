//! `odeon cert`: the authority of a cluster, and the certificates that it issues. Works on files; asks no master.
//!
//! Nothing is ever overwritten: a lost authority cannot be made again.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Subcommand};
use odeon_runtime::trust::{Authority, CredentialFiles, Credentials, Issued, PeerRole, PeerRoles, Request, Validity};

use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;

/// The certificate of an authority, wherever it lies.
const CA: &str = "ca.pem";
/// Its key, which lies nowhere but in the directory of the authority.
const CA_KEY: &str = "ca.key";
/// For the owner only, and for everybody.
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Makes the certificates with which masters, agents and clients know each other
#[derive(Debug, Args)]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(Debug, Subcommand)]
enum CertCommand {
    /// Makes the authority of a cluster: keep its key where only you can read it
    ///
    /// Example: odeon cert init authority
    Init(InitArgs),
    /// Issues a certificate and its key for one process or person
    ///
    /// Example: odeon cert issue --ca authority --role agent --name node-7 --host 10.0.0.7 --out node-7
    Issue(IssueArgs),
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Where the authority is kept; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// For how many days
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

#[derive(Debug, Args)]
struct IssueArgs {
    /// The directory of the authority
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// What its holder may act as: client, agent, master or actor-host
    #[arg(long, required = true, value_name = "ROLE")]
    role: Vec<PeerRole>,
    /// Whose it is: letters, digits, dots, hyphens and underscores
    #[arg(long)]
    name: String,
    /// A name or address at which others dial its holder; the loopback address is always among them
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// For how many days
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Where the files are written; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Makes what was asked for, and says what to do with it.
pub(crate) fn cert(args: CertArgs) -> Result<i32, Failure> {
    let told = match args.command {
        CertCommand::Init(args) => init(&args)?,
        CertCommand::Issue(args) => issue(&args)?,
    };
    print(&told).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

fn init(args: &InitArgs) -> Result<String, Failure> {
    let (ca, key) = (args.directory.join(CA), args.directory.join(CA_KEY));
    make_directory(&args.directory)?;
    refuse_existing(&[&ca, &key])?;
    let authority = Authority::new(Validity::days(SystemTime::now(), args.days)).or_exit(Exit::WorkFailed)?;
    write_new(&key, SECRET, &authority.key_pem())?;
    write_new(&ca, PUBLIC, authority.cert_pem())?;
    Ok(format!(
        "wrote    {}    the certificate of the authority, for {} days\n\
         wrote    {}    its key, readable by its owner only: whoever has it can join the cluster as anything\n\
         use      odeon cert issue --ca {} --role master --name NAME --host HOST --out DIR\n",
        ca.display(),
        args.days,
        key.display(),
        args.directory.display(),
    ))
}

fn issue(args: &IssueArgs) -> Result<String, Failure> {
    let authority_files = (args.ca.join(CA), args.ca.join(CA_KEY));
    let ca_pem = read(&authority_files.0)?;
    let authority = Authority::from_pem(ca_pem.as_str(), &read(&authority_files.1)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", authority_files.1.display())))?;
    let request = Request {
        name: args.name.clone(),
        roles: PeerRoles::of(&args.role),
        hosts: args.host.clone(),
        validity: Validity::days(SystemTime::now(), args.days),
    };
    let issued = authority.issue(&request).or_exit(Exit::Usage)?;
    let files = files(args);
    belongs(&args.ca, &files, &ca_pem, &issued)?;
    make_directory(&args.out)?;
    refuse_existing(&[&files.cert, &files.key])?;
    keep_authority(&files.ca, &ca_pem)?;
    write_new(&files.key, SECRET, &issued.key_pem)?;
    write_new(&files.cert, PUBLIC, &issued.cert_pem)?;
    Ok(told(args, &files))
}

/// The files of a certificate are named after its first role.
fn files(args: &IssueArgs) -> CredentialFiles {
    let role = args.role.first().copied().unwrap_or(PeerRole::Client);
    let file = |ending: &str| args.out.join(format!("{role}.{ending}"));
    CredentialFiles { ca: args.out.join(CA), cert: file("pem"), key: file("key") }
}

/// Whoever gets the certificate checks it against the certificate of the authority; so does who issues it.
fn belongs(directory: &Path, files: &CredentialFiles, ca_pem: &str, issued: &Issued) -> Result<(), Failure> {
    let (cert, key) = (issued.cert_pem.as_bytes(), issued.key_pem.as_bytes());
    let used = Credentials::from_pem(files, ca_pem.as_bytes(), cert, key);
    used.map(drop).map_err(|error| {
        let directory = directory.display();
        Failure::usage(format!("{CA} and {CA_KEY} in {directory} do not belong together: {error}"))
    })
}

fn told(args: &IssueArgs, files: &CredentialFiles) -> String {
    let (ca, cert, key) = (files.ca.display(), files.cert.display(), files.key.display());
    let roles = PeerRoles::of(&args.role);
    let used = match args.role.first() {
        Some(PeerRole::Master) => format!("odeon master --tls-ca {ca} --tls-cert {cert} --tls-key {key}"),
        Some(PeerRole::Agent) => format!(
            "odeon agent --tls-ca {ca} --tls-cert {cert} --tls-key {key}, \
             with the certificate of its executors: --set tls.executor_cert=… --set tls.executor_key=…"
        ),
        Some(PeerRole::ActorHost) => {
            format!("odeon agent … --set tls.executor_cert={cert} --set tls.executor_key={key}")
        }
        _ => format!("export ODEON_TLS__CA={ca} ODEON_TLS__CERT={cert} ODEON_TLS__KEY={key}"),
    };
    format!(
        "wrote    {cert}    the certificate of {} as {roles}, for {} days\n\
         wrote    {key}    its key, readable by its owner only\n\
         wrote    {ca}    the certificate of the authority\n\
         use      {used}\n",
        args.name, args.days,
    )
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::usage(format!("cannot make {}: {error}", path.display())))
}

fn refuse_existing(paths: &[&Path]) -> Result<(), Failure> {
    match paths.iter().find(|path| path.exists()) {
        Some(path) => Err(Failure::usage(format!("{} is there already, and is not overwritten", path.display()))),
        None => Ok(()),
    }
}

/// Certificates of one directory have one authority.
fn keep_authority(path: &Path, pem: &str) -> Result<(), Failure> {
    if !path.exists() {
        return write_new(path, PUBLIC, pem);
    }
    match read(path)? == pem {
        true => Ok(()),
        false => Err(Failure::usage(format!("{} is that of another authority: choose another --out", path.display()))),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

fn write_new(path: &Path, mode: u32, content: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(content.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}
