
// Mean and inverse deviation of the row.
fn moments_of(values: ptr<function, array<f32, EACH>>, me: u32) -> vec2f {
    var sum = 0.0;
    for (var i = 0u; i < EACH; i++) {
        sum += (*values)[i];
    }
    let mean = sum_of_all(sum, me) / f32(WIDTH);
    var squares = 0.0;
    for (var i = 0u; i < EACH; i++) {
        if i * 64u + me < WIDTH {
            let centred = (*values)[i] - mean;
            squares += centred * centred;
        }
    }
    let variance = sum_of_all(squares, me) / f32(WIDTH);
    return vec2f(mean, 1.0 / sqrt(variance + EPSILON));
}

fn normed(value: f32, channel: u32, moments: vec2f) -> f32 {
    return (value - moments.x) * moments.y * gamma[channel] + beta[channel];
}
