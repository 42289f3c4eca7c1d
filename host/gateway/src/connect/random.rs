//! Random numbers for choices where a bias does not matter: SRV weights, jitter.

/// A number from 0 to `bound`, both included.
pub(super) fn below(bound: u32) -> u32 {
    // A system without random numbers cannot make a TLS connection either; it will say so there.
    let random = getrandom::u32().unwrap_or_default();
    let scaled = (u64::from(random) * (u64::from(bound) + 1)) >> u32::BITS;
    u32::try_from(scaled).unwrap_or(bound)
}
