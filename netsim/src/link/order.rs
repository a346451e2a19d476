//! What a running link is told to do: a line of text.

use std::{fmt, net::SocketAddr, str::FromStr};

use super::{BadProfile, Profile, Side};

/// What a running link is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// `both delay_ms=20 …`, `toward …`, `from …`: how these directions are from now on.
    Set(Vec<Side>, Profile),
    /// `cut [both|toward|from] [PEER]`: nothing passes any more, for everybody or for one peer.
    Cut(Vec<Side>, Option<SocketAddr>),
    /// `heal [both|toward|from] [PEER]`: it passes again.
    Heal(Vec<Side>, Option<SocketAddr>),
    /// `counts`: tell what became of everything.
    Counts,
}

/// Why a line is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadOrder {
    /// It begins with no word that is known.
    Unknown(String),
    /// What should be a peer's address is none.
    BadPeer(String),
    /// What should be a profile is none.
    BadProfile(BadProfile),
}

impl fmt::Display for BadOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(line) => {
                write!(f, "{line:?}: a line begins with both, toward or from (then a profile), cut, heal or counts")
            }
            Self::BadPeer(word) => write!(f, "{word:?}: a peer is an address, as in `cut both 127.0.0.1:4431`"),
            Self::BadProfile(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for BadOrder {}

impl FromStr for Order {
    type Err = BadOrder;

    fn from_str(line: &str) -> Result<Self, BadOrder> {
        let (verb, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        if let Some(sides) = sides(verb) {
            return Ok(Self::Set(sides, rest.parse().map_err(BadOrder::BadProfile)?));
        }
        match verb {
            "cut" => whom(rest).map(|(sides, peer)| Self::Cut(sides, peer)),
            "heal" => whom(rest).map(|(sides, peer)| Self::Heal(sides, peer)),
            "counts" => Ok(Self::Counts),
            _ => Err(BadOrder::Unknown(line.to_owned())),
        }
    }
}

fn sides(word: &str) -> Option<Vec<Side>> {
    match word {
        "both" => Some(Side::BOTH.to_vec()),
        "toward" => Some(vec![Side::Toward]),
        "from" => Some(vec![Side::From]),
        _ => None,
    }
}

fn whom(rest: &str) -> Result<(Vec<Side>, Option<SocketAddr>), BadOrder> {
    let (mut which, mut peer) = (Side::BOTH.to_vec(), None);
    for word in rest.split_whitespace() {
        match sides(word) {
            Some(named) => which = named,
            None => peer = Some(word.parse().map_err(|_| BadOrder::BadPeer(word.to_owned()))?),
        }
    }
    Ok((which, peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_order() {
        let both = Side::BOTH.to_vec();
        let peer = Some("127.0.0.1:4431".parse().unwrap());
        let slow = Profile { delay_ms: 200, ..Profile::default() };
        for (line, order) in [
            ("both delay_ms=200\n", Order::Set(both.clone(), slow)),
            ("toward", Order::Set(vec![Side::Toward], Profile::default())),
            ("cut", Order::Cut(both.clone(), None)),
            ("cut from 127.0.0.1:4431", Order::Cut(vec![Side::From], peer)),
            ("heal 127.0.0.1:4431", Order::Heal(both, peer)),
            ("counts", Order::Counts),
        ] {
            assert_eq!(line.parse(), Ok(order), "{line}");
        }
    }

    #[test]
    fn what_is_no_order_is_refused_with_the_remedy() {
        let why = |line: &str| line.parse::<Order>().unwrap_err().to_string();
        assert!(why("cat").contains("a line begins with both, toward or from"));
        assert!(why("cut 127.0.0.1").contains("as in `cut both 127.0.0.1:4431`"));
        assert!(why("both delay=1").contains("there are delay_ms,"));
    }
}
