//! System calls that the kernel restarts whatever a handler of signals says (`ERESTARTNOINTR`).

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::give_up_restart;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::give_up_restart;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    /// Has a thread that is about to restart this system call, after a handler of a signal, return from it with EINTR
    /// instead. Does nothing if it is about to do anything else.
    ///
    /// # Safety
    /// To be called by the handler, with the context of its own thread.
    pub(crate) unsafe fn give_up_restart(context: &mut libc::ucontext_t, call: i64) {
        /// The instruction `syscall`. A restarted thread stands at it, with the number of the call in rax
        /// (arch/x86/kernel/signal.c, `handle_signal`).
        const SYSCALL: [u8; 2] = [0x0f, 0x05];
        let registers = &mut context.uc_mcontext.gregs;
        let next = registers[libc::REG_RIP as usize];
        let place = std::ptr::with_exposed_provenance::<[u8; 2]>(next as usize);
        // SAFETY: the thread is to go on there, so that there is code, which may be read.
        let is_call = unsafe { place.read_unaligned() } == SYSCALL;
        if is_call && registers[libc::REG_RAX as usize] == call {
            registers[libc::REG_RIP as usize] = next + SYSCALL.len() as i64;
            registers[libc::REG_RAX as usize] = -i64::from(libc::EINTR);
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    /// Has a thread that is about to restart this system call, after a handler of a signal, return from it with EINTR
    /// instead. Does nothing if it is about to do anything else.
    ///
    /// # Safety
    /// To be called by the handler, with the context of its own thread.
    pub(crate) unsafe fn give_up_restart(context: &mut libc::ucontext_t, call: i64) {
        /// The instruction `svc #0`. A restarted thread stands at it, with the number of the call in x8
        /// (arch/arm64/kernel/signal.c, `do_signal`).
        const SVC: u32 = 0xd400_0001;
        let registers = &mut context.uc_mcontext;
        let place = std::ptr::with_exposed_provenance::<u32>(registers.pc as usize);
        // SAFETY: the thread is to go on there, so that there is code, which may be read.
        let is_call = unsafe { place.read_unaligned() } == SVC;
        if is_call && registers.regs[8] == call as u64 {
            registers.pc += size_of::<u32>() as u64;
            registers.regs[0] = (-i64::from(libc::EINTR)) as u64;
        }
    }
}
