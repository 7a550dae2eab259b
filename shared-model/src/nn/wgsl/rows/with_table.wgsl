
// The same table is added to each utterance.
fn source(row: u32, channel: u32) -> f32 {
    return x[row * WIDTH + channel] + table[row % frames[1] * WIDTH + channel];
}

fn activation(value: f32) -> f32 {
    return value;
}
