//! Which extensions are used (RFC 6455 §9.1, RFC 7692 §5 and §7.1).

use super::deflate::WINDOW_BITS;

/// How many extensions may be offered; browsers offer one, Autobahn's clients five.
const MAX_OFFERS: usize = 16;

const NAME: &str = "permessage-deflate";

/// One entry of `Sec-WebSocket-Extensions`.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    name: String,
    params: Vec<(String, Option<String>)>,
}

/// The answer to the first offer of permessage-deflate that can be met; `None` if there is none.
///
/// It is met without context takeover on both sides and with windows of 32 KiB. An offer that wants a smaller window
/// of us is declined, as one frame is for all.
///
/// # Errors
/// Where `fields` do not follow the grammar, or offer too many: the handshake fails (RFC 6455 §9.1).
pub(super) fn agree<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Option<String>, Malformed> {
    let mut offers = Vec::new();
    for field in fields {
        Reader(field).list(&mut offers)?;
    }
    Ok(offers.iter().filter(|offer| offer.name.eq_ignore_ascii_case(NAME)).find_map(meet))
}

/// The field is not what the grammar allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// "A server MUST decline an offer" with a parameter that is unknown, twice there, or of an invalid value (§7.1).
fn meet(offer: &Offer) -> Option<String> {
    let mut answer = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
    for (n, (name, value)) in offer.params.iter().enumerate() {
        if offer.params[..n].iter().any(|(before, _)| before == name) {
            return None;
        }
        match (name.as_str(), value.as_deref()) {
            ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) => drop(window_bits(bits)?),
            ("server_max_window_bits", Some(bits)) if window_bits(bits)? == WINDOW_BITS => {
                answer += "; server_max_window_bits=15";
            }
            _ => return None,
        }
    }
    Some(answer)
}

/// "A decimal integer value without leading zeroes between 8 to 15 inclusive" (§7.1.2).
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| (8..=WINDOW_BITS).contains(bits))?;
    (bits.to_string() == text).then_some(bits)
}

/// Reads the grammar of RFC 6455 §9.1 from its front.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    /// `extension-list`; empty elements are allowed, as in every list of HTTP.
    fn list(&mut self, offers: &mut Vec<Offer>) -> Result<(), Malformed> {
        loop {
            self.space();
            if !self.0.starts_with(',') && !self.0.is_empty() {
                if offers.len() == MAX_OFFERS {
                    return Err(Malformed);
                }
                offers.push(self.offer()?);
            }
            self.space();
            if self.0.is_empty() {
                return Ok(());
            }
            self.expect(',')?;
        }
    }

    fn offer(&mut self) -> Result<Offer, Malformed> {
        let mut offer = Offer { name: self.token()?, params: Vec::new() };
        loop {
            self.space();
            if self.expect(';').is_err() {
                return Ok(offer);
            }
            self.space();
            let name = self.token()?.to_ascii_lowercase();
            self.space();
            let value = match self.expect('=') {
                Ok(()) => Some(self.value()?),
                Err(_) => None,
            };
            offer.params.push((name, value));
        }
    }

    /// A token, or a quoted string that is a token once its quotes are gone.
    fn value(&mut self) -> Result<String, Malformed> {
        self.space();
        if self.expect('"').is_err() {
            return self.token();
        }
        let end = self.0.find('"').ok_or(Malformed)?;
        let (text, rest) = self.0.split_at(end);
        let mut quoted = Reader(text);
        let value = quoted.token()?;
        self.0 = &rest[1..];
        if quoted.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }

    fn token(&mut self) -> Result<String, Malformed> {
        let end = self.0.find(|c: char| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        if token.is_empty() { Err(Malformed) } else { Ok(token.to_owned()) }
    }

    fn expect(&mut self, c: char) -> Result<(), Malformed> {
        self.0 = self.0.strip_prefix(c).ok_or(Malformed)?;
        Ok(())
    }

    fn space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn answer(field: &str) -> Result<Option<String>, Malformed> {
        agree([field].into_iter())
    }

    #[test]
    fn an_offer_is_met_without_context_takeover() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "Permessage-Deflate;client_max_window_bits=\"9\" ; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate",
            ", permessage-deflate ,",
        ] {
            assert_eq!(answer(offer), Ok(Some(BARE.into())), "{offer}");
        }
    }

    #[test]
    fn the_first_offer_that_can_be_met_is_met() {
        let offers = "permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=15";
        assert_eq!(answer(offers), Ok(Some(format!("{BARE}; server_max_window_bits=15"))));
    }

    #[test]
    fn what_cannot_be_met_is_declined() {
        for offer in [
            "",
            "bbf-usp-protocol",
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=09",
            "permessage-deflate; client_max_window_bits=+9",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; unheard_of",
        ] {
            assert_eq!(answer(offer), Ok(None), "{offer}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_fails() {
        for field in [
            "permessage-deflate;",
            "permessage-deflate; a=",
            "permessage-deflate; a=\"b",
            "permessage-deflate; a=\"b c\"",
            "permessage-deflate; =3",
            "permessage deflate",
            "(",
            &"a,".repeat(17),
        ] {
            assert_eq!(answer(field), Err(Malformed), "{field}");
        }
    }
}
