
// Each channel has its own mean and inverse deviation, known from training.
fn moments_of(values: ptr<function, array<f32, EACH>>, me: u32) -> vec2f {
    return vec2f();
}

fn normed(value: f32, channel: u32, moments: vec2f) -> f32 {
    return (value - running[channel]) * running[WIDTH + channel] * gamma[channel] + beta[channel];
}
