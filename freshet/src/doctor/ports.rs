//! The ports of the role: whether they can be had, or who has them.

use std::net::SocketAddr;

use freshet_proto::view::Role;

use super::{Findings, Patient};
use crate::ports::{Port, PortError};

/// Looks at each port that the role listens at. One that this very node has is as it should be.
pub async fn look(patient: &Patient, findings: &mut Findings) {
    let listen = &patient.config.listen;
    let tls = patient.config.tls.certificate.is_some();
    let mut tcp: Vec<(&'static str, SocketAddr, &'static str)> = vec![("admin", listen.admin, "listen.admin")];
    if patient.is(Role::Edge) {
        tcp.push(("HTTP", listen.http, "listen.http"));
        tcp.extend(tls.then_some(("HTTPS", listen.https, "listen.https")));
        tcp.extend(listen.irc.map(|addr| ("IRC", addr, "listen.irc")));
        tcp.extend(listen.ircs.filter(|_| tls).map(|addr| ("IRC (TLS)", addr, "listen.ircs")));
        tcp.extend(listen.irc_ws.map(|addr| ("IRC (WebSocket)", addr, "listen.irc_ws")));
        tcp.extend(listen.irc_wss.filter(|_| tls).map(|addr| ("IRC (WebSocket, TLS)", addr, "listen.irc_wss")));
    }
    if patient.is(Role::Origin) {
        tcp.push(("RTMP", listen.rtmp, "listen.rtmp"));
        tcp.extend(tls.then_some(("RTMPS", listen.rtmps, "listen.rtmps")));
    }
    for (what, addr, key) in tcp {
        let port = Port { what, addr, flag: key.to_owned() };
        judge(&port, port.listen().await.map(drop), findings);
    }
    let port = Port { what: "node (QUIC)", addr: listen.quic, flag: "listen.quic".to_owned() };
    judge(&port, port.check_udp(), findings);
}

fn judge(port: &Port, tried: Result<(), PortError>, findings: &mut Findings) {
    let check = format!("{} port", port.what);
    match tried {
        Ok(()) => findings.good(check, format!("{} is free", port.addr)),
        Err(PortError::Taken { owner, port, .. }) if owner.starts_with(" by freshet ") => {
            findings.good(check, format!("{port} is taken{owner}, as when the node runs"));
        }
        Err(error) => findings.fault(check, error.to_string(), format!("free it, or set {}", port.flag)),
    }
}
