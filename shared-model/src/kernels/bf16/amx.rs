//! Products of tiles on the tile unit of recent Intel processors (AMX).

use std::arch::{asm, x86_64::__cpuid_count};

use super::tiles::{SIDE, Tile};
use crate::kernels::view::Into;

const TILE_BYTES: usize = 1024;

/// Whether processor and system let this process use tiles of bf16: asks the system.
pub(super) fn is_available() -> bool {
    processor_has_tiles() && system_grants_tiles()
}

fn processor_has_tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    let features = __cpuid_count(7, 0).edx;
    features & AMX_BF16 != 0 && features & AMX_TILE != 0
}

/// Linux gives a process the tiles' registers when it asks for them
/// (`Documentation/arch/x86/xstate.rst` of the kernel); other systems are not asked.
fn system_grants_tiles() -> bool {
    #[cfg(target_os = "linux")]
    {
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        // SAFETY: the call reads its two numbers and writes no memory of this process.
        unsafe {
            libc::syscall(
                libc::SYS_arch_prctl,
                ARCH_REQ_XCOMP_PERM,
                XFEATURE_XTILEDATA,
            ) == 0
        }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// The shapes of the eight tiles: 16 rows of 64 bytes each.
#[repr(C, align(64))]
struct TileShapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: TileShapes = {
    let mut shapes = TileShapes {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [0; 16],
        rows: [0; 16],
    };
    let mut tile = 0;
    while tile < 8 {
        shapes.row_bytes[tile] = 64;
        shapes.rows[tile] = SIDE as u8;
        tile += 1;
    }
    shapes
};

/// Runs `products`, of which every call of [`add_product`] is one, with the unit configured for them.
///
/// # Safety
/// The tiles are available.
pub(super) unsafe fn with_tiles(products: impl FnOnce()) {
    // SAFETY: the tiles are available; no thread has them in use between calls.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly)) };
    products();
    // SAFETY: no tile is in use any more. Released, they need not be saved when threads change.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Adds 32 rows of `left` times 32 columns of `right` to `out`, or replaces it.
///
/// # Safety
/// `out` has 32 rows of 32 values, `row_stride` apart; `left` and `right` have two rows of `blocks`
/// tiles each; [`with_tiles`] is running.
pub(super) unsafe fn add_product(
    out: *mut f32,
    row_stride: usize,
    left: &[Tile],
    right: &[Tile],
    blocks: usize,
    into: Into,
) {
    let lower = 4 * SIDE * row_stride;
    // SAFETY: the caller's promise covers each address; tiles are named nowhere else.
    unsafe {
        asm!(
            "test {add}, {add}",
            "jz 2f",
            "tileloadd tmm0, [{out} + {stride}]",
            "tileloadd tmm1, [{out} + {stride} + 64]",
            "tileloadd tmm2, [{lower} + {stride}]",
            "tileloadd tmm3, [{lower} + {stride} + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "test {blocks}, {blocks}",
            "jz 5f",
            "4:",
            "tileloadd tmm4, [{left_0} + {row}]",
            "tileloadd tmm6, [{right_0} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{right_1} + {row}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{left_1} + {row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left_0}, 1024",
            "add {left_1}, 1024",
            "add {right_0}, 1024",
            "add {right_1}, 1024",
            "dec {blocks}",
            "jnz 4b",
            "5:",
            "tilestored [{out} + {stride}], tmm0",
            "tilestored [{out} + {stride} + 64], tmm1",
            "tilestored [{lower} + {stride}], tmm2",
            "tilestored [{lower} + {stride} + 64], tmm3",
            add = in(reg) usize::from(into == Into::Add),
            out = in(reg) out,
            lower = in(reg) out.byte_add(lower),
            stride = in(reg) 4 * row_stride,
            row = in(reg) 64usize,
            left_0 = inout(reg) left.as_ptr() => _,
            left_1 = inout(reg) left.as_ptr().byte_add(blocks * TILE_BYTES) => _,
            right_0 = inout(reg) right.as_ptr() => _,
            right_1 = inout(reg) right.as_ptr().byte_add(blocks * TILE_BYTES) => _,
            blocks = inout(reg) blocks => _,
            options(nostack),
        );
    }
}
