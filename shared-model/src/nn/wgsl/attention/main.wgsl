// Scaled dot-product attention of QUERIES frames of one head a workgroup, over all real frames in
// blocks of KEYS, with the softmax carried from block to block (Milakov and Gimelshein 2018). `x` has
// queries, keys and values of each frame, `[3, HEADS, D_HEAD]`.

const WIDTH = HEADS * D_HEAD;
const EACH = (QUERIES * D_HEAD + 63u) / 64u;
const LEAST = -3e38;

var<workgroup> queries: array<f32, QUERIES * D_HEAD>;
// Keys of a block, then its values.
var<workgroup> block: array<f32, KEYS * D_HEAD>;
// Scores, then weights.
var<workgroup> weights: array<f32, QUERIES * KEYS>;
// Of each query: the greatest score so far, the sum of weights, and by what earlier sums shrink.
var<workgroup> greatest: array<f32, QUERIES>;
var<workgroup> totals: array<f32, QUERIES>;
var<workgroup> shrink: array<f32, QUERIES>;
var<workgroup> shared_keys: u32;

fn load_block(utterance: u32, head: u32, start: u32, num_keys: u32, what: u32, me: u32) {
    for (var at = me; at < KEYS * D_HEAD; at += 64u) {
        let frame = start + at / D_HEAD;
        var value = 0.0;
        if frame < num_keys {
            let base = ((utterance * frames[1] + frame) * 3u + what) * WIDTH + head * D_HEAD;
            if what == 1u {
                value = turned(frame, base, at % D_HEAD);
            } else {
                value = x[base + at % D_HEAD];
            }
        }
        block[at] = value;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
    let first = group.x * QUERIES;
    let head = group.y;
    let utterance = group.z;
    let time = frames[1];
    if me == 0u {
        let real = frames[2u + utterance];
        // Without a single key all are seen: such a frame is padding, and stays finite.
        shared_keys = select(real, time, real == 0u);
    }
    for (var at = me; at < QUERIES * D_HEAD; at += 64u) {
        let frame = first + at / D_HEAD;
        var value = 0.0;
        if frame < time {
            let base = (utterance * time + frame) * 3u * WIDTH + head * D_HEAD;
            value = turned(frame, base, at % D_HEAD) * SCALE;
        }
        queries[at] = value;
    }
    if me < QUERIES {
        greatest[me] = LEAST;
        totals[me] = 0.0;
    }
    var sums: array<f32, EACH>;
    for (var i = 0u; i < EACH; i++) {
        sums[i] = 0.0;
    }
    let num_keys = workgroupUniformLoad(&shared_keys);
    for (var start = 0u; start < num_keys; start += KEYS) {
        load_block(utterance, head, start, num_keys, 1u, me);
        workgroupBarrier();
        for (var at = me; at < QUERIES * KEYS; at += 64u) {
            let query = at / KEYS * D_HEAD;
            let key = at % KEYS * D_HEAD;
            var score = LEAST;
            if start + at % KEYS < num_keys {
                score = 0.0;
                for (var c = 0u; c < D_HEAD; c++) {
                    score += queries[query + c] * block[key + c];
                }
            }
            weights[at] = score;
        }
        workgroupBarrier();
        if me < QUERIES {
            var most = greatest[me];
            for (var key = 0u; key < KEYS; key++) {
                most = max(most, weights[me * KEYS + key]);
            }
            let smaller = exp(greatest[me] - most);
            var total = totals[me] * smaller;
            for (var key = 0u; key < KEYS; key++) {
                let weight = exp(weights[me * KEYS + key] - most);
                weights[me * KEYS + key] = weight;
                total += weight;
            }
            greatest[me] = most;
            totals[me] = total;
            shrink[me] = smaller;
        }
        load_block(utterance, head, start, num_keys, 2u, me);
        workgroupBarrier();
        for (var i = 0u; i < EACH; i++) {
            let at = i * 64u + me;
            if at < QUERIES * D_HEAD {
                let query = at / D_HEAD;
                var sum = sums[i] * shrink[query];
                for (var key = 0u; key < KEYS; key++) {
                    sum += weights[query * KEYS + key] * block[key * D_HEAD + at % D_HEAD];
                }
                sums[i] = sum;
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < EACH; i++) {
        let at = i * 64u + me;
        let frame = first + at / D_HEAD;
        if at < QUERIES * D_HEAD && frame < time {
            let place = (utterance * time + frame) * WIDTH + head * D_HEAD + at % D_HEAD;
            y[place] = sums[i] / totals[at / D_HEAD];
        }
    }
}
