
fn turned(frame: u32, base: u32, channel: u32) -> f32 {
    return x[base + channel];
}
