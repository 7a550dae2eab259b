
fn source(row: u32, channel: u32) -> f32 {
    return x[row * WIDTH + channel];
}

fn activation(value: f32) -> f32 {
    return value;
}
