
// A channel of a query or key turned by its frame's angle, together with the one half a head away.
fn turned(frame: u32, base: u32, channel: u32) -> f32 {
    let pairs = D_HEAD / 2u;
    let angle = (frame * pairs + channel % pairs) * 2u;
    let value = x[base + channel] * angles[angle];
    if channel < pairs {
        return value - x[base + channel + pairs] * angles[angle + 1u];
    }
    return value + x[base + channel - pairs] * angles[angle + 1u];
}
