// A band of an utterance a workgroup: `(x - mean) / sqrt(variance + EPSILON)` over its real frames,
// zero in padded ones.

var<workgroup> shares: array<f32, 64>;

// The sum of all invocations.
fn sum_of_all(value: f32, me: u32) -> f32 {
    shares[me] = value;
    workgroupBarrier();
    for (var stride = 32u; stride > 0u; stride /= 2u) {
        if me < stride {
            shares[me] += shares[me + stride];
        }
        workgroupBarrier();
    }
    let sum = shares[0];
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
    let first = group.y * frames[1] * BANDS + group.x;
    let real = frames[2u + group.y];
    let share = 1.0 / f32(max(real, 1u));
    var sum = 0.0;
    for (var frame = me; frame < real; frame += 64u) {
        sum += x[first + frame * BANDS];
    }
    let mean = sum_of_all(sum, me) * share;
    var squares = 0.0;
    for (var frame = me; frame < real; frame += 64u) {
        let centred = x[first + frame * BANDS] - mean;
        squares += centred * centred;
    }
    let variance = sum_of_all(squares, me) * share;
    let scale = 1.0 / sqrt(variance + EPSILON);
    for (var frame = me; frame < frames[1]; frame += 64u) {
        var value = 0.0;
        if frame < real {
            value = (x[first + frame * BANDS] - mean) * scale;
        }
        y[first + frame * BANDS] = value;
    }
}
