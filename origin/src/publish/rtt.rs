//! How long the way to an encoder and back is, as the kernel smooths it for each TCP connection.
//!
//! ```text
//! a connection's two addresses ──sock_diag(7)──▶ the kernel ──INET_DIAG_INFO──▶ tcp_info.tcpi_rtt
//! ```
//! `TCP_INFO` itself is an option of the socket that no safe call reads; the same structure can be asked for as bytes over
//! netlink. The kernel answers within the call, in some microseconds. Where it can't be asked (another system, a sandbox
//! without `AF_NETLINK`) nothing is known.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

/// `AF_NETLINK` and `NETLINK_SOCK_DIAG` of `linux/netlink.h`.
const NETLINK: (i32, i32) = (16, 4);

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`: the type of the question and of its answer.
const BY_FAMILY: u16 = 20;

/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 1;

/// `AF_INET`, `AF_INET6` and `IPPROTO_TCP`.
const FAMILIES: (u8, u8) = (2, 10);
const TCP: u8 = 6;

/// `INET_DIAG_INFO` of `linux/inet_diag.h`: the attribute that is a `tcp_info`.
const INFO: u16 = 2;

/// Where `tcpi_rtt`, in microseconds, is in a `tcp_info` (`linux/tcp.h`).
const RTT_AT: usize = 68;

/// Where a `nlmsghdr` has its type and its number.
const TYPE_AT: usize = 4;
const SEQUENCE_AT: usize = 8;

/// Lengths of a `nlmsghdr`, an `inet_diag_req_v2`, an `inet_diag_msg` and an `nlattr`.
const HEADER: usize = 16;
const QUESTION: usize = 56;
const MESSAGE: usize = 72;
const ATTRIBUTE: usize = 4;

/// Longer than any answer: some 400 bytes.
const MAX_ANSWER: usize = 4096;

/// Where the kernel is asked.
#[derive(Debug)]
pub(crate) struct RoundTrips(Mutex<Asking>);

#[derive(Debug)]
struct Asking {
    /// `None` where the kernel can't be asked.
    socket: Option<Socket>,
    /// Number of the last question.
    sequence: u32,
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

impl RoundTrips {
    pub(crate) fn open() -> Self {
        let socket = if cfg!(target_os = "linux") { socket() } else { None };
        Self(Mutex::new(Asking { socket, sequence: 0 }))
    }

    /// The smoothed round trip of the connection between `ends`; `None` where it is unknown. Does not wait.
    pub(crate) fn of(&self, ends: Ends) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ask(ends)
    }
}

fn socket() -> Option<Socket> {
    let (family, protocol) = NETLINK;
    let socket = Socket::new(Domain::from(family), Type::DGRAM, Some(Protocol::from(protocol))).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

impl Asking {
    fn ask(&mut self, ends: Ends) -> Option<Duration> {
        self.sequence = self.sequence.wrapping_add(1);
        let socket = self.socket.as_mut()?;
        socket.write_all(&question(ends, self.sequence)).ok()?;
        let mut answer = [0; MAX_ANSWER];
        // What an earlier question left behind comes first.
        loop {
            let length = socket.read(&mut answer).ok()?;
            let answer = answer.get(..length)?;
            if u32_at(answer, SEQUENCE_AT)? == self.sequence {
                return rtt(answer);
            }
        }
    }
}

/// A `nlmsghdr` and an `inet_diag_req_v2`: one connection, whatever its state.
fn question(Ends { local, peer }: Ends, sequence: u32) -> Vec<u8> {
    let family = if local.is_ipv6() { FAMILIES.1 } else { FAMILIES.0 };
    let mut bytes = Vec::with_capacity(HEADER + QUESTION);
    bytes.extend(u32::try_from(HEADER + QUESTION).unwrap_or_default().to_ne_bytes());
    bytes.extend([BY_FAMILY.to_ne_bytes(), REQUEST.to_ne_bytes()].concat());
    bytes.extend([sequence, 0].map(u32::to_ne_bytes).concat());
    // The attribute that is wanted besides what is always told.
    bytes.extend([family, TCP, 1 << (INFO - 1), 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend([local.port(), peer.port()].map(u16::to_be_bytes).concat());
    bytes.extend([address(local.ip()), address(peer.ip())].concat());
    // On any interface, with any cookie.
    bytes.extend([0, u32::MAX, u32::MAX].map(u32::to_ne_bytes).concat());
    bytes
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut padded = [0; 16];
            padded[..4].copy_from_slice(&ip.octets());
            padded
        }
    }
}

/// What an answer says; `None` where it is an error, or nothing was measured yet.
fn rtt(answer: &[u8]) -> Option<Duration> {
    let is_told = u16_at(answer, TYPE_AT)? == BY_FAMILY;
    let mut rest = answer.get(HEADER + MESSAGE..).filter(|_| is_told)?;
    loop {
        let (length, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)?);
        let value = rest.get(ATTRIBUTE..length)?;
        if kind == INFO {
            let micros = u32_at(value, RTT_AT)?;
            return (micros > 0).then(|| Duration::from_micros(micros.into()));
        }
        rest = rest.get(length.next_multiple_of(ATTRIBUTE)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn ends() -> Ends {
        Ends { local: "192.0.2.1:1935".parse().unwrap(), peer: "198.51.100.7:40000".parse().unwrap() }
    }

    /// An answer with a `tcp_info` of `length` bytes behind an attribute of five.
    fn answer(micros: u32, length: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + MESSAGE];
        bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        bytes.extend([5u16, 8].map(u16::to_ne_bytes).concat());
        bytes.extend([1, 0, 0, 0]);
        bytes.extend([4 + length, INFO].map(u16::to_ne_bytes).concat());
        let mut info = vec![0; length.into()];
        info[RTT_AT..RTT_AT + 4].copy_from_slice(&micros.to_ne_bytes());
        bytes.extend(info);
        bytes
    }

    #[test]
    fn a_question_names_one_connection() {
        let asked = question(ends(), 7);
        assert_eq!((asked.len(), asked[16..20].to_vec()), (72, vec![2, 6, 2, 0]));
        assert_eq!(asked[24..28], [0x07, 0x8F, 0x9C, 0x40]);
        assert_eq!((&asked[28..33], &asked[44..49]), (&[192, 0, 2, 1, 0][..], &[198, 51, 100, 7, 0][..]));
        let v6 = Ends { local: "[2001:db8::1]:1935".parse().unwrap(), peer: "[2001:db8::2]:4".parse().unwrap() };
        assert_eq!((question(v6, 7)[16], &question(v6, 7)[28..32]), (10, &[0x20, 0x01, 0x0d, 0xb8][..]));
    }

    #[test]
    fn an_answer_tells_the_round_trip_if_it_is_whole() {
        let good = answer(41_500, 232);
        assert_eq!(rtt(&good), Some(Duration::from_micros(41_500)));
        assert_eq!(rtt(&answer(0, 232)), None, "nothing was measured yet");
        (0..good.len()).for_each(|length| assert_eq!(rtt(&good[..length]), None, "{length} bytes"));
        let mut error = good.clone();
        error[4] = 2;
        assert_eq!(rtt(&error), None);
        let mut odd = good;
        odd[HEADER + MESSAGE] = 0;
        assert_eq!(rtt(&odd), None);
    }

    /// Here and in both families: a listener for both sees those of the old one under mapped addresses.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_it_of_a_real_connection() {
        let trips = RoundTrips::open();
        for (listen, host) in [("127.0.0.1:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::1]:0", "::1")] {
            let listener = std::net::TcpListener::bind(listen).unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut theirs = std::net::TcpStream::connect((host, port)).unwrap();
            let (mut ours, peer) = listener.accept().unwrap();
            ours.write_all(b"x").unwrap();
            theirs.read_exact(&mut [0]).unwrap();
            let ends = Ends { local: ours.local_addr().unwrap(), peer };
            let trip = trips.of(ends).unwrap_or_else(|| panic!("{ends:?}"));
            assert!(trip < Duration::from_secs(1), "{trip:?}");
            assert_eq!(
                trips.of(Ends { local: peer, peer: "127.0.0.1:1".parse().unwrap() }),
                None,
                "no such connection"
            );
        }
    }
}
