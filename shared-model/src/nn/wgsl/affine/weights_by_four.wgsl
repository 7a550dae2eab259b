
// Four columns of the weight, whose number of columns four divides.
fn weights_of(depth: u32, panel: u32, column: u32) -> vec4f {
    if column >= D_OUT {
        return vec4f();
    }
    return weight[((depth * PANELS + panel) * D_OUT + column) / 4u];
}
