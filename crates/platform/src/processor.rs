//! What the processor tells of itself.

use snapshot::XsaveLayout;

/// Where this processor has the components of an XSAVE area (CPUID leaf 0xD; Intel SDM volume 1,
/// §13.2). Empty if it has none.
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
        // Numbers 0 and 1 stand for x87 and SSE, whose leaves tell other things. A component that
        // the processor lacks has no size.
        let leaves = (2..63).map(|number| (number, __cpuid_count(XSAVE, number)));
        XsaveLayout::new(leaves.map(|(number, leaf)| Component {
            number,
            offset: leaf.ebx,
            size: leaf.eax,
        }))
    });
    &LAYOUT
}

/// The same where there are no XSAVE areas: empty.
#[cfg(not(target_arch = "x86_64"))]
pub fn xsave_layout() -> &'static XsaveLayout {
    static NONE: std::sync::LazyLock<XsaveLayout> = std::sync::LazyLock::new(XsaveLayout::default);
    &NONE
}
