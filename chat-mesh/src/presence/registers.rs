//! A HyperLogLog: of all hashes that begin with a register's number, the longest run of zeros after it.

/// How many bits of a hash choose the register.
const BITS: u32 = 12;

/// How many bits are left.
const REST: u32 = u64::BITS - BITS;

/// How many registers there are.
pub(super) const COUNT: usize = 1 << BITS;

/// The most that a register may hold: all bits that are left are zeros.
const MOST: u8 = REST as u8 + 1;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registers(Box<[u8; COUNT]>);

impl Registers {
    pub fn new() -> Self {
        Self(Box::new([0; COUNT]))
    }

    pub fn insert(&mut self, hash: u64) {
        let register = usize::try_from(hash >> REST).unwrap_or_default();
        // The bit put in ends the run where all that is left are zeros.
        let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        self.raise(register, rank);
    }

    /// Takes some of another's registers, which begin with number `from`. What can't be is left out.
    pub fn take(&mut self, from: usize, values: &[u8]) {
        for (register, value) in (from..COUNT).zip(values) {
            self.raise(register, (*value).min(MOST));
        }
    }

    pub fn values(&self) -> &[u8] {
        &self.0[..]
    }

    fn raise(&mut self, register: usize, value: u8) {
        if let Some(held) = self.0.get_mut(register) {
            *held = (*held).max(value);
        }
    }

    /// How many different hashes were put in, about: Ertl's improved raw estimator, which is without bias from none to all
    /// (arXiv:1702.01284, algorithm 6).
    pub fn estimate(&self) -> f64 {
        let mut held = [0u16; MOST as usize + 1];
        self.0.iter().for_each(|value| held[usize::from(*value)] += 1);
        let m = COUNT as f64;
        let mut sum = m * tau(1.0 - f64::from(held[usize::from(MOST)]) / m);
        for count in held[1..usize::from(MOST)].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += m * sigma(f64::from(held[0]) / m);
        m * m / (2.0 * std::f64::consts::LN_2 * sum)
    }
}

/// What registers without anything add.
fn sigma(mut x: f64) -> f64 {
    let (mut y, mut z) = (1.0, x);
    if x >= 1.0 {
        return f64::INFINITY;
    }
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// What registers that are full add.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
