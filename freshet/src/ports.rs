//! Binds ports, and says who has one that is taken.

use std::{fs, io, net::SocketAddr, os::unix::fs::MetadataExt};

use tokio::net::TcpListener;

/// Why a port can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Somebody has it. The remedy is in the message.
    #[error("{what} port {port} is taken{owner}: stop that, or choose another with {flag} (0 picks a free one)")]
    Taken {
        /// `HTTP`, `RTMP`, …
        what: &'static str,
        /// The port.
        port: u16,
        /// Who has it, where that can be known: ` by nginx (process 7)`.
        owner: String,
        /// The flag or key that changes it.
        flag: String,
    },
    /// It may not be had: a port below 1024 without the right, an address that is not this machine's.
    #[error("can't listen for {what} on {addr}: {error}; choose another with {flag}")]
    Refused {
        /// `HTTP`, `RTMP`, …
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
        /// The flag or key that changes it.
        flag: String,
    },
}

/// A port to be bound: what it is for, where, and how the operator changes it.
#[derive(Debug, Clone)]
pub struct Port {
    /// `HTTP`, `RTMP`, …
    pub what: &'static str,
    /// The address.
    pub addr: SocketAddr,
    /// The flag or key that changes it.
    pub flag: String,
}

impl Port {
    /// Listens.
    ///
    /// # Errors
    /// See [`PortError`].
    pub async fn listen(&self) -> Result<TcpListener, PortError> {
        TcpListener::bind(self.addr).await.map_err(|error| self.explain(error, "tcp"))
    }

    /// Makes sure that the UDP port can be had, by having it for a moment.
    ///
    /// # Errors
    /// See [`PortError`].
    pub fn check_udp(&self) -> Result<(), PortError> {
        std::net::UdpSocket::bind(self.addr).map(drop).map_err(|error| self.explain(error, "udp"))
    }

    fn explain(&self, error: io::Error, protocol: &str) -> PortError {
        let (what, flag, port) = (self.what, self.flag.clone(), self.addr.port());
        if error.kind() != io::ErrorKind::AddrInUse {
            return PortError::Refused { what, addr: self.addr, error, flag };
        }
        let owner = owner(port, protocol).or_else(|| usual(port).map(|who| format!(", perhaps by {who}")));
        PortError::Taken { what, port, owner: owner.unwrap_or_default(), flag }
    }
}

/// Who often has a port, for when the system won't tell.
fn usual(port: u16) -> Option<&'static str> {
    Some(match port {
        1935 | 1936 => "another freshet, nginx-rtmp or a media server",
        4430 => "another freshet",
        6667 | 6697 => "another freshet or an IRC server",
        8080 | 8443 => "another freshet or a web server",
        9090 => "another freshet, Prometheus or Cockpit",
        _ => return None,
    })
}

/// Who has a port, by what Linux tells of sockets; only processes of the same user show.
fn owner(port: u16, protocol: &str) -> Option<String> {
    let inode = inode_of(port, protocol)?;
    let link = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let id = process.file_name().to_str()?.parse::<u32>().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link.as_str()))?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!(" by {} (process {id})", name.trim()))
    })
}

/// The inode of the socket that listens on a port (proc_net(5): the local address is hexadecimal, the inode field 10).
fn inode_of(port: u16, protocol: &str) -> Option<u64> {
    // TCP_LISTEN for TCP, unconnected for UDP.
    let state = if protocol == "tcp" { "0A" } else { "07" };
    let tables = [format!("/proc/net/{protocol}"), format!("/proc/net/{protocol}6")];
    tables.iter().filter_map(|table| fs::read_to_string(table).ok()).find_map(|table| {
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, local) = fields.get(1)?.rsplit_once(':')?;
            let here = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == state;
            here.then(|| fields.get(9)?.parse().ok()).flatten()
        })
    })
}

/// Whether only this user can read a file.
pub fn is_private(path: &std::path::Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_owner_and_the_flag() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = Port { what: "HTTP", addr: first.local_addr().unwrap(), flag: "--http-port".into() };
        let error = port.listen().await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("HTTP port {} is taken by ", port.addr.port())), "{error}");
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        assert!(error.contains("choose another with --http-port"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused_with_the_flag() {
        let port = Port { what: "RTMP", addr: "192.0.2.1:0".parse().unwrap(), flag: "listen.rtmp".into() };
        let error = port.listen().await.unwrap_err();
        assert!(matches!(error, PortError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("listen.rtmp"), "{error}");
    }
}
