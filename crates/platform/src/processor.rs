//! What the processor tells about itself.

use snapshot::XsaveLayout;

/// Returns where this processor puts the components of an XSAVE area (CPUID leaf 0xD; Intel SDM
/// volume 1, §13.2). Empty if it has no XSAVE.
#[cfg(target_arch = "x86_64")]
pub fn xsave_layout() -> &'static XsaveLayout {
    use snapshot::xsave::Component;
    use std::{
        arch::x86_64::{__cpuid, __cpuid_count},
        sync::LazyLock,
    };
    const XSAVE: u32 = 0xd;
    static LAYOUT: LazyLock<XsaveLayout> = LazyLock::new(|| {
        if __cpuid(0).eax < XSAVE {
            return XsaveLayout::default();
        }
        // Components 0 and 1 are x87 and SSE; their leaves tell other things. A component that the
        // processor lacks has size 0.
        let leaves = (2..63).map(|number| (number, __cpuid_count(XSAVE, number)));
        XsaveLayout::new(leaves.map(|(number, leaf)| Component {
            number,
            offset: leaf.ebx,
            size: leaf.eax,
        }))
    });
    &LAYOUT
}

/// Returns an empty layout: this processor has no XSAVE areas.
#[cfg(not(target_arch = "x86_64"))]
pub fn xsave_layout() -> &'static XsaveLayout {
    static NONE: std::sync::LazyLock<XsaveLayout> = std::sync::LazyLock::new(XsaveLayout::default);
    &NONE
}
