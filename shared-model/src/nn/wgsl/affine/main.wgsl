// y = finish(load(x) * weight + bias): a workgroup computes a tile of 16 rows and 64 columns, an
// invocation 4 rows and 4 columns of it. Of a map in two panels, each column of the result has two
// sums: of the weight's columns `column` and `D_OUT + column`.

const ROWS = 16u;
const COLUMNS = 64u;
const DEPTH = 16u;

var<workgroup> left: array<vec4f, DEPTH * ROWS / 4u>;
var<workgroup> right: array<vec4f, PANELS * DEPTH * COLUMNS / 4u>;

fn num_rows() -> u32 {
    return frames[0] * frames[1];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) me: u32) {
    let first_row = tile.y * ROWS;
    let first_column = tile.x * COLUMNS;
    prepare(first_row, me);

    let my_row = me / 16u;
    let my_column = me % 16u;
    // One a row, and the same of the second panel: variables stay in registers, an array may not.
    var a0 = vec4f();
    var a1 = vec4f();
    var a2 = vec4f();
    var a3 = vec4f();
    var b0 = vec4f();
    var b1 = vec4f();
    var b2 = vec4f();
    var b3 = vec4f();
    for (var start = 0u; start < D_IN; start += DEPTH) {
        let depth = start + my_column;
        var loaded = vec4f();
        if depth < D_IN {
            let row = first_row + my_row * 4u;
            loaded = vec4f(load(row, depth), load(row + 1u, depth), load(row + 2u, depth), load(row + 3u, depth));
        }
        left[my_column * 4u + my_row] = loaded;
        for (var i = 0u; i < 4u * PANELS; i++) {
            let at = i * 64u + me;
            let depth = start + at / 16u % DEPTH;
            let column = first_column + at % 16u * 4u;
            var weights = vec4f();
            if depth < D_IN {
                weights = weights_of(depth, at / 256u, column);
            }
            right[at] = weights;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let rows = left[k * 4u + my_row];
            let columns = right[k * 16u + my_column];
            a0 += rows.x * columns;
            a1 += rows.y * columns;
            a2 += rows.z * columns;
            a3 += rows.w * columns;
            if PANELS == 2u {
                let gates = right[(PANELS - 1u) * 256u + k * 16u + my_column];
                b0 += rows.x * gates;
                b1 += rows.y * gates;
                b2 += rows.z * gates;
                b3 += rows.w * gates;
            }
        }
        workgroupBarrier();
    }
    var sums = array<vec4f, 4>(a0, a1, a2, a3);
    var gates = array<vec4f, 4>(b0, b1, b2, b3);
    for (var r = 0u; r < 4u; r++) {
        let row = first_row + my_row * 4u + r;
        for (var c = 0u; c < 4u; c++) {
            let column = first_column + my_column * 4u + c;
            if row < num_rows() && column < D_OUT {
                let first = sums[r][c] + bias[column];
                var second = 0.0;
                if PANELS == 2u {
                    second = gates[r][c] + bias[(PANELS - 1u) * D_OUT + column];
                }
                y[row * D_OUT + column] = finish(row, column, first, second);
            }
        }
    }
}
