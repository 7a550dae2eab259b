
// A convolution over time with one kernel a channel and zeros around, before the norm; SiLU after it.
fn source(row: u32, channel: u32) -> f32 {
    let time = i32(frames[1]);
    let first = i32(row % frames[1]) - i32(TAPS / 2u);
    var sum = bias[channel];
    for (var tap = 0u; tap < TAPS; tap++) {
        let frame = first + i32(tap);
        if frame >= 0 && frame < time {
            sum += x[u32(i32(row) + frame - i32(row % frames[1])) * WIDTH + channel] * weight[tap * WIDTH + channel];
        }
    }
    return sum;
}

fn activation(value: f32) -> f32 {
    return value / (1.0 + exp(-value));
}
