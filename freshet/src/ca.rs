//! `freshet ca`: the small authority that nodes recognise each other by.

use freshet_control_plane::ca::{Ca, CaError};
use freshet_proto::clock::WallClock;

use crate::cli::{CaInit, CaIssue};

/// Makes an authority and says what to do with its files.
///
/// # Errors
/// See [`CaError`]; an authority that is there already is left alone.
pub fn init(args: &CaInit) -> Result<(), CaError> {
    Ca::create(&args.dir, &WallClock::system())?;
    let dir = args.dir.display();
    println!("{dir}/ca.pem   the authority's certificate: every node gets a copy");
    println!("{dir}/ca.key   its key: keep it here, nobody else needs it");
    println!("next: freshet ca issue --dir {dir} NAME");
    Ok(())
}

/// Issues a node's certificate and says what the node's configuration needs.
///
/// # Errors
/// See [`CaError`].
pub fn issue(args: &CaIssue) -> Result<(), CaError> {
    let clock = WallClock::system();
    let issued = Ca::load(&args.dir)?.issue(&args.name, &args.address, args.days, &clock)?;
    let out = args.out.as_deref().unwrap_or(&args.dir);
    issued.write(out, &args.name)?;
    let (dir, name) = (out.display(), &args.name);
    println!("[quic]");
    println!("certificate = \"{dir}/{name}.pem\"");
    println!("key = \"{dir}/{name}.key\"");
    println!("ca = \"{dir}/ca.pem\"");
    Ok(())
}
