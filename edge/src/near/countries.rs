//! About where countries are, for databases that know no more of an address: whole degrees, near the middle of a country or of
//! where most of its people live. Off by a thousand kilometres in the largest ones, which is 15 ms.

/// ISO 3166-1 code, latitude, longitude.
const COUNTRIES: &str = "
AD 43 2    AE 24 54   AF 34 66   AG 17 -62  AI 18 -63  AL 41 20   AM 40 45   AO -12 18  AQ -80 0   AR -34 -62
AS -14 -171 AT 48 14  AU -32 146 AW 13 -70  AX 60 20   AZ 40 48   BA 44 18   BB 13 -60  BD 24 90   BE 51 4
BF 12 -2   BG 43 25   BH 26 51   BI -3 30   BJ 9 2     BL 18 -63  BM 32 -65  BN 5 115   BO -17 -65 BQ 12 -68
BR -17 -48 BS 24 -77  BT 27 90   BV -54 3   BW -22 24  BY 54 28   BZ 17 -89  CA 47 -85  CC -12 97  CD -4 23
CF 7 21    CG -1 15   CH 47 8    CI 7 -6    CK -21 -160 CL -34 -71 CM 5 12   CN 33 112  CO 5 -74   CR 10 -84
CU 22 -79  CV 16 -24  CW 12 -69  CX -10 106 CY 35 33   CZ 50 15   DE 51 10   DJ 12 43   DK 56 11   DM 15 -61
DO 19 -70  DZ 35 3    EC -1 -79  EE 59 25   EG 29 31   EH 25 -13  ER 15 39   ES 40 -4   ET 9 39    FI 62 25
FJ -18 178 FK -52 -59 FM 7 158   FO 62 -7   FR 47 2    GA -1 12   GB 53 -2   GD 12 -62  GE 42 44   GF 4 -53
GG 49 -3   GH 7 -1    GI 36 -5   GL 64 -51  GM 13 -15  GN 10 -11  GP 16 -61  GQ 2 10    GR 39 22   GS -54 -37
GT 15 -90  GU 13 145  GW 12 -15  GY 6 -58   HK 22 114  HM -53 73  HN 15 -87  HR 45 16   HT 19 -72  HU 47 19
ID -6 110  IE 53 -8   IL 32 35   IM 54 -5   IN 22 79   IO -7 72   IQ 33 44   IR 33 53   IS 65 -19  IT 43 12
JE 49 -2   JM 18 -77  JO 31 36   JP 36 138  KE 0 37    KG 41 75   KH 12 105  KI 1 173   KM -12 44  KN 17 -63
KP 39 126  KR 37 128  KW 29 48   KY 19 -81  KZ 48 68   LA 18 103  LB 34 36   LC 14 -61  LI 47 10   LK 7 81
LR 6 -9    LS -29 28  LT 55 24   LU 50 6    LV 57 25   LY 31 16   MA 33 -7   MC 44 7    MD 47 29   ME 43 19
MF 18 -63  MG -19 47  MH 7 171   MK 42 22   ML 14 -6   MM 20 96   MN 47 105  MO 22 114  MP 15 146  MQ 15 -61
MR 19 -13  MS 17 -62  MT 36 14   MU -20 58  MV 3 73    MW -14 34  MX 21 -101 MY 3 103   MZ -18 36  NA -22 17
NC -21 166 NE 14 7    NF -29 168 NG 8 7     NI 12 -86  NL 52 5    NO 61 9    NP 28 84   NR -1 167  NU -19 -170
NZ -40 175 OM 22 58   PA 9 -80   PE -10 -76 PF -18 -149 PG -6 146 PH 13 122  PK 31 71   PL 52 20   PM 47 -56
PN -25 -130 PR 18 -66 PS 32 35   PT 39 -8   PW 7 135   PY -25 -57 QA 25 51   RE -21 56  RO 46 25   RS 44 21
RU 56 45   RW -2 30   SA 24 44   SB -9 160  SC -5 55   SD 15 32   SE 59 16   SG 1 104   SH -16 -6  SI 46 15
SJ 78 16   SK 49 19   SL 8 -12   SM 44 12   SN 14 -15  SO 4 45    SR 5 -55   SS 7 30    ST 0 7     SV 14 -89
SX 18 -63  SY 35 37   SZ -26 31  TC 22 -72  TD 12 17   TF -49 69  TG 8 1     TH 14 101  TJ 39 70   TK -9 -172
TL -9 126  TM 38 59   TN 36 10   TO -21 -175 TR 39 33  TT 10 -61  TV -8 179  TW 24 121  TZ -6 35   UA 49 31
UG 1 32    UM 19 167  US 39 -92  UY -34 -56 UZ 41 66   VA 42 12   VC 13 -61  VE 9 -67   VG 18 -65  VI 18 -65
VN 16 107  VU -17 168 WF -13 -176 WS -14 -172 XK 43 21 YE 15 45   YT -13 45  ZA -28 28  ZM -14 28  ZW -19 30
";

/// Latitude and longitude of a country, in ten-thousandths of a degree.
pub(crate) fn position(code: &str) -> Option<(i32, i32)> {
    let mut words = COUNTRIES.split_ascii_whitespace();
    words.find(|word| *word == code).filter(|word| word.len() == 2 && word.as_bytes()[0].is_ascii_uppercase())?;
    let mut degrees = || words.next()?.parse::<i32>().ok().map(|degrees| degrees * 10_000);
    Some((degrees()?, degrees()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_a_code_and_a_place_on_the_globe() {
        let words: Vec<&str> = COUNTRIES.split_ascii_whitespace().collect();
        assert_eq!((words.len() % 3, words.len() / 3), (0, 250));
        for entry in words.chunks(3) {
            let (lat, lon) = position(entry[0]).unwrap_or_else(|| panic!("{entry:?}"));
            assert_eq!(
                (lat / 10_000, lon / 10_000),
                (entry[1].parse().unwrap(), entry[2].parse().unwrap()),
                "{entry:?}"
            );
            assert!(lat.abs() <= 900_000 && lon.abs() <= 1_800_000, "{entry:?}");
        }
        assert!(words.chunks(3).is_sorted_by(|a, b| a[0] < b[0]));
    }

    #[test]
    fn a_country_is_found_by_its_code_and_nothing_else_is() {
        assert_eq!(position("DE"), Some((510_000, 100_000)));
        assert_eq!(position("AU"), Some((-320_000, 1_460_000)));
        for no_code in ["", "de", "51", "ZZ", "DEU", "-4"] {
            assert_eq!(position(no_code), None, "{no_code:?}");
        }
    }
}
