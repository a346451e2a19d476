//! What a Close frame says (RFC 6455 §5.5.1, §7.4).

use super::decode::Violation;

/// Why a connection is closed, as a number of RFC 6455 §7.4.1 or IANA's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server goes down, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// A rule of the protocol was broken.
    pub const PROTOCOL: Self = Self(1002);
    /// Data of a kind that is not taken: binary where only text is.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Text that is not UTF-8, or compressed data that do not inflate.
    pub const INVALID: Self = Self(1007);
    /// A rule of the service was broken.
    pub const POLICY: Self = Self(1008);
    /// A message larger than is taken.
    pub const TOO_BIG: Self = Self(1009);
    /// The server met what it did not expect.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts; come back after a while.
    pub const RESTART: Self = Self(1012);
    /// The server has too much to do; come back later or elsewhere.
    pub const TRY_LATER: Self = Self(1013);

    /// Whether the code may stand in a frame: 1004 to 1006 and 1015 may not (§7.4.1), others below 3000 are not assigned.
    pub fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// A Close frame's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Why.
    pub code: CloseCode,
    /// For people; at most 123 bytes, often empty.
    pub reason: String,
}

impl Close {
    /// Reads the body of a Close frame; an empty one says nothing.
    pub(super) fn read(body: &[u8]) -> Result<Option<Self>, Violation> {
        let [high, low, reason @ ..] = body else {
            return if body.is_empty() { Ok(None) } else { Err(Violation::CloseBody) };
        };
        let code = CloseCode(u16::from_be_bytes([*high, *low]));
        if !code.may_be_sent() {
            return Err(Violation::CloseCode(code.0));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
        Ok(Some(Self { code, reason: reason.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_empty_or_a_code_and_a_reason() {
        assert_eq!(Close::read(b""), Ok(None));
        let bye = Close { code: CloseCode::NORMAL, reason: "bye".into() };
        assert_eq!(Close::read(b"\x03\xe8bye"), Ok(Some(bye)));
        assert_eq!(Close::read(b"\x03"), Err(Violation::CloseBody));
        assert_eq!(Close::read(b"\x03\xe8\xff"), Err(Violation::NotUtf8));
        assert_eq!(Close::read(b"\x03\xed"), Err(Violation::CloseCode(1005)));
    }
}
