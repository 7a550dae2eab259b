// A row of WIDTH channels a workgroup: y = activation(norm(source(x))).

const EACH = (WIDTH + 63u) / 64u;

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
    let row = group.x;
    var values: array<f32, EACH>;
    for (var i = 0u; i < EACH; i++) {
        let channel = i * 64u + me;
        values[i] = 0.0;
        if channel < WIDTH {
            values[i] = source(row, channel);
        }
    }
    let moments = moments_of(&values, me);
    for (var i = 0u; i < EACH; i++) {
        let channel = i * 64u + me;
        if channel < WIDTH {
            y[row * WIDTH + channel] = activation(normed(values[i], channel, moments));
        }
    }
}
