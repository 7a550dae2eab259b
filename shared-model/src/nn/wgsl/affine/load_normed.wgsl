
// Rows after layer norm.

var<workgroup> shares: array<f32, 64>;
var<workgroup> means: array<f32, ROWS>;
var<workgroup> scales: array<f32, ROWS>;

// The sum of four invocations, which have a row together.
fn sum_of_row(value: f32, me: u32) -> f32 {
    shares[me] = value;
    workgroupBarrier();
    let first = me / 4u * 4u;
    let sum = shares[first] + shares[first + 1u] + shares[first + 2u] + shares[first + 3u];
    workgroupBarrier();
    return sum;
}

fn prepare(first_row: u32, me: u32) {
    let row = first_row + me / 4u;
    let is_real = row < num_rows();
    var sum = 0.0;
    for (var depth = me % 4u; depth < D_IN; depth += 4u) {
        if is_real {
            sum += x[row * D_IN + depth];
        }
    }
    let mean = sum_of_row(sum, me) / f32(D_IN);
    var squares = 0.0;
    for (var depth = me % 4u; depth < D_IN; depth += 4u) {
        if is_real {
            let centred = x[row * D_IN + depth] - mean;
            squares += centred * centred;
        }
    }
    let variance = sum_of_row(squares, me) / f32(D_IN);
    if me % 4u == 0u {
        means[me / 4u] = mean;
        scales[me / 4u] = 1.0 / sqrt(variance + EPSILON);
    }
    workgroupBarrier();
}

fn load(row: u32, depth: u32) -> f32 {
    if row >= num_rows() {
        return 0.0;
    }
    let centred = x[row * D_IN + depth] - means[row % ROWS];
    return centred * scales[row % ROWS] * gamma[depth] + beta[depth];
}
