
// Four columns of the weight, of any number of columns.
fn weights_of(depth: u32, panel: u32, column: u32) -> vec4f {
    var weights = vec4f();
    for (var c = 0u; c < 4u; c++) {
        if column + c < D_OUT {
            weights[c] = weight[(depth * PANELS + panel) * D_OUT + column + c];
        }
    }
    return weights;
}
