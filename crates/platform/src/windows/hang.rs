//! Whether a process hangs: one of its visible windows handles no messages, as Windows itself
//! decides (<https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-ishungappwindow>).

use super::sys::function;
use windows_sys::core::BOOL;

type Window = *mut core::ffi::c_void;
type Each = unsafe extern "system" fn(Window, isize) -> BOOL;
type Ask = unsafe extern "system" fn(Window) -> BOOL;

/// Functions of user32.dll, which not every Windows has (Nano Server).
struct User {
    enumerate: unsafe extern "system" fn(Each, isize) -> BOOL,
    owner: unsafe extern "system" fn(Window, *mut u32) -> u32,
    is_visible: Ask,
    is_hung: Ask,
}

struct Search {
    user: User,
    pid: u32,
    hangs: bool,
}

/// Returns whether a visible window of the process has not handled a message for 5 seconds, which
/// Windows shows as "not responding".
pub(crate) fn hangs(pid: u32) -> bool {
    let Some(user) = User::load() else {
        return false;
    };
    let mut search = Search {
        user,
        pid,
        hangs: false,
    };
    let context = &raw mut search as isize;
    // SAFETY: the callback gets the address of `search`, which lives until the call ends and is not
    // used by us meanwhile.
    unsafe { ((*(context as *const Search)).user.enumerate)(check_window, context) };
    search.hangs
}

/// Checks one window. Returns 0, which ends the enumeration, if it hangs.
///
/// # Safety
/// `context` must be the address of a [`Search`] that nobody else uses during the call.
unsafe extern "system" fn check_window(window: Window, context: isize) -> BOOL {
    // SAFETY: the caller passes what `hangs` gave it.
    let search = unsafe { &mut *(context as *mut Search) };
    let mut pid = 0;
    // SAFETY: the functions of user32 are called on a window that they themselves named.
    unsafe {
        (search.user.owner)(window, &raw mut pid);
        let own = pid == search.pid && (search.user.is_visible)(window) != 0;
        search.hangs = own && (search.user.is_hung)(window) != 0;
    }
    BOOL::from(!search.hangs)
}

impl User {
    fn load() -> Option<Self> {
        const LIBRARY: &str = "user32.dll";
        // SAFETY: the types are those of the documented functions.
        unsafe {
            Some(Self {
                enumerate: function(LIBRARY, c"EnumWindows")?,
                owner: function(LIBRARY, c"GetWindowThreadProcessId")?,
                is_visible: function(LIBRARY, c"IsWindowVisible")?,
                is_hung: function(LIBRARY, c"IsHungAppWindow")?,
            })
        }
    }
}
