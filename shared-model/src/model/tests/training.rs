//! Gradients, dropout, batch statistics and the way from training to evaluation.

use burn::module::ParamId;

use super::*;

/// Three utterances of different lengths, the longest shorter than the batch.
const LENGTHS: [usize; 3] = [37, 20, 9];
const TIME: usize = 41;

fn batch(n_mels: usize, time: usize, device: &Device) -> Tensor<3> {
    let mut data = vec![0.0; LENGTHS.len() * time * n_mels];
    for (seed, (row, frames)) in data.chunks_mut(time * n_mels).zip(LENGTHS).enumerate() {
        row[..frames * n_mels].copy_from_slice(&noise(frames, n_mels, seed as u64));
    }
    Tensor::from_data(TensorData::new(data, [LENGTHS.len(), time, n_mels]), device)
}

/// A fixed random projection of the real frames' logits, and every block's output with it.
fn scalar(output: &CtcOutput) -> Tensor<1> {
    let mask = FrameMask::new(
        output.lengths.clone(),
        output.logits.dims()[1],
        &output.logits.device(),
    );
    let mut total = Tensor::zeros([1], &output.logits.device());
    let logits = std::iter::once(&output.logits).chain(&output.phone_logits);
    for x in logits.chain(&output.hidden) {
        let shape = x.dims();
        let projection = RandomInit { seed: 9 }
            .take("projection", &shape, Init::FanIn(1))
            .unwrap();
        let projection = Tensor::from_data(TensorData::new(projection, shape), &x.device());
        total = total + mask.zero_padding(x.clone() * projection).sum();
    }
    total
}

fn train_forward(model: &CtcModel, time: usize) -> (CtcOutput, TrainContext) {
    let mut context = TrainContext::new(4);
    let features = batch(model.config().n_mels, time, &Device::flex());
    let output = model.forward(features, &LENGTHS, &mut Mode::Train(&mut context));
    (output, context)
}

/// Each parameter's name, identity and gradient.
struct GradientVisitor<'a> {
    gradients: &'a burn::tensor::Gradients,
    found: Vec<(String, ParamId, Option<Vec<f32>>)>,
}

impl NamedVisitor for GradientVisitor<'_> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).map(values);
        self.found.push((name.into(), param.id, gradient));
    }
}

fn gradients(model: &CtcModel) -> Vec<(String, ParamId, Option<Vec<f32>>)> {
    let (output, _) = train_forward(model, TIME);
    let gradients = scalar(&output).backward();
    let mut visitor = GradientVisitor {
        gradients: &gradients,
        found: Vec::new(),
    };
    visit_named(model, &mut visitor);
    visitor.found
}

fn training_variants() -> Vec<ModelConfig> {
    let pick = |norm, positions, subsampling_factor, dropout| ModelConfig {
        norm,
        positions,
        subsampling_factor,
        dropout,
        phone_head: norm == NormKind::Layer,
        ..tiny()
    };
    vec![
        pick(NormKind::Layer, Positions::Rotary, 8, 0.2),
        pick(NormKind::Batch, Positions::Sinusoid, 4, 0.0),
    ]
}

#[test]
fn every_parameter_gets_a_gradient_and_the_gradient_is_the_slope() {
    let device = Device::flex();
    for config in training_variants() {
        let model = CtcModel::init(&config, 3, &device.clone().autodiff()).unwrap();
        let weights = model.weights();
        let value_at = |weights: &Weights| {
            let model = CtcModel::from_weights(&config, weights, &device).unwrap();
            f64::from(values(scalar(&train_forward(&model, TIME).0))[0])
        };
        for (name, _, gradient) in gradients(&model) {
            let gradient = gradient.unwrap_or_else(|| panic!("{name} has no gradient"));
            let scale = gradient.iter().fold(0.0f32, |a, g| a.max(g.abs()));
            assert!(scale > 0.0, "{name} has a zero gradient");
            // The largest and some other element.
            let largest = gradient.iter().position(|g| g.abs() == scale).unwrap();
            for index in [largest, gradient.len() / 3] {
                let step = 4e-3;
                let mut moved = weights.clone();
                let at = |moved: &mut Weights, delta: f32| {
                    let data = &mut moved.get_mut(&name).unwrap().data;
                    data[index] = weights[&name].data[index] + delta;
                };
                at(&mut moved, step);
                let above = value_at(&moved);
                at(&mut moved, -step);
                let slope = (above - value_at(&moved)) / (2.0 * f64::from(step));
                let error = (slope - f64::from(gradient[index])).abs();
                // Rounding of the sum of about a thousand terms over the step, and curvature.
                let allowed = 0.02 * f64::from(scale) + 0.02;
                assert!(
                    error < allowed,
                    "{name}[{index}]: gradient {}, slope {slope}",
                    gradient[index]
                );
            }
        }
    }
}

#[test]
fn a_parameters_identity_is_its_name() {
    let device = Device::flex().autodiff();
    let config = tiny();
    let ids = |seed| -> Vec<ParamId> {
        let model = CtcModel::init(&config, seed, &device).unwrap();
        gradients(&model).into_iter().map(|(_, id, _)| id).collect()
    };
    let mut first = ids(1);
    assert_eq!(first, ids(2));
    first.sort();
    first.dedup();
    let model = CtcModel::init(&config, 1, &device).unwrap();
    assert_eq!(first.len(), gradients(&model).len());
}

#[test]
fn dropout_repeats_for_a_seed_and_stops_in_evaluation() {
    let device = Device::flex().autodiff();
    let config = ModelConfig {
        dropout: 0.3,
        ..tiny()
    };
    let model = CtcModel::init(&config, 3, &device).unwrap();
    let first = values(train_forward(&model, TIME).0.logits);
    assert_eq!(first, values(train_forward(&model, TIME).0.logits));
    let mut other = TrainContext::new(5);
    let features = batch(8, TIME, &device);
    let second = model.forward(features.clone(), &LENGTHS, &mut Mode::Train(&mut other));
    assert_ne!(first, values(second.logits));

    let evaluated = values(
        model
            .forward(features.clone(), &LENGTHS, &mut Mode::Eval)
            .logits,
    );
    let plain = model.valid();
    assert!(!plain.device().is_autodiff());
    let output = plain.forward(features.inner(), &LENGTHS, &mut Mode::Eval);
    assert!(!output.logits.is_autodiff());
    let worst = evaluated
        .iter()
        .zip(values(output.logits))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn batch_statistics_ignore_padding() {
    let device = Device::flex();
    let config = ModelConfig {
        norm: NormKind::Batch,
        ..tiny()
    };
    let model = CtcModel::init(&config, 3, &device).unwrap();
    let (short, short_context) = train_forward(&model, TIME);
    let (long, long_context) = train_forward(&model, TIME + 30);
    assert_eq!(short.lengths, long.lengths);
    let time = short.logits.dims()[1];
    let real = FrameMask::new(short.lengths, time, &device);
    let short_logits = values(real.zero_padding(short.logits));
    let long_logits = values(real.zero_padding(long.logits.narrow(1, 0, time)));
    for (a, b) in short_logits.iter().zip(&long_logits) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    assert_eq!(short_context.batch_stats.len(), 3);
    for (a, b) in short_context
        .batch_stats
        .iter()
        .zip(&long_context.batch_stats)
    {
        assert_eq!((&a.name, a.num_frames), (&b.name, b.num_frames));
        for (a, b) in values(a.variance.clone())
            .iter()
            .zip(values(b.variance.clone()))
        {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn running_statistics_follow_the_batch() {
    let device = Device::flex();
    let config = ModelConfig {
        norm: NormKind::Batch,
        ..tiny()
    };
    let model = CtcModel::init(&config, 3, &device).unwrap();
    let name = "encoder.blocks.1.conv.norm";
    let stats = BatchStats {
        name: name.into(),
        mean: Tensor::from_data([2.0; 16], &device),
        variance: Tensor::from_data([3.0; 16], &device),
        num_frames: 4,
    };
    let weights = model.update_batch_norms(&[stats]).weights();
    // 0.9 * 0 + 0.1 * 2, and 0.9 * 1 + 0.1 * 3 * 4 / 3.
    for (buffer, expected) in [("running_mean", 0.2), ("running_var", 1.3)] {
        for value in &weights[&format!("{name}.{buffer}")].data {
            assert!((value - expected).abs() < 1e-6, "{buffer} {value}");
        }
    }
    assert_eq!(weights["frontend.norm.running_var"].data, [1.0; 16]);
}

#[test]
fn what_is_hidden_leaves_what_is_visible_as_it_is() {
    let device = Device::flex();
    let config = ModelConfig {
        normalization: Normalization::Utterance,
        ..tiny()
    };
    let n_mels = config.n_mels;
    // Two bands and a quarter of the frames of each utterance.
    let hides = |row: usize, frame: usize, band: usize| {
        (2..4).contains(&band) || (frame < LENGTHS[row] / 4)
    };
    let visible = |time: usize| {
        let value = |i: usize| {
            let (row, frame, band) = (i / (time * n_mels), i / n_mels % time, i % n_mels);
            if hides(row, frame, band) { 0.0 } else { 1.0 }
        };
        let values: Vec<f32> = (0..LENGTHS.len() * time * n_mels).map(value).collect();
        Tensor::<3>::from_data(
            TensorData::new(values, [LENGTHS.len(), time, n_mels]),
            &device,
        )
    };
    let model = CtcModel::init(&config, 3, &device).unwrap();
    let features = batch(n_mels, TIME, &device);
    let mask = FrameMask::new(LENGTHS.to_vec(), TIME, &device);

    // Normalised over all of it, then hidden by hand.
    let normalized = normalize::by_utterance(features.clone(), &mask, Operations::Composed);
    let by_hand = values(normalized.clone());
    let by_hand: Vec<f32> = by_hand
        .iter()
        .zip(values(visible(TIME)))
        .map(|(value, visible)| if visible > 0.0 { *value } else { 0.0 })
        .collect();
    let by_hand = Tensor::from_data(TensorData::new(by_hand, normalized.dims()), &device);
    let want = model.forward_normalized(by_hand, &LENGTHS, &mut Mode::Eval);
    let got = model.forward_masked(features, &LENGTHS, visible(TIME), &mut Mode::Eval);
    assert_eq!(values(got.logits), values(want.logits));
}

#[test]
fn what_is_hidden_from_a_network_without_normalisation_is_the_bands_mean() {
    let device = Device::flex();
    let config = ModelConfig {
        normalization: Normalization::None,
        ..tiny()
    };
    let model = CtcModel::init(&config, 3, &device).unwrap();
    let (frames, n_mels) = (24, config.n_mels);
    let plain = noise(frames, n_mels, 7);
    let mut hidden = plain.clone();
    let mut visible = vec![1.0; plain.len()];
    for band in 3..6 {
        let mean = (0..frames).map(|t| plain[t * n_mels + band]).sum::<f32>() / frames as f32;
        for frame in 0..frames {
            hidden[frame * n_mels + band] = mean;
            visible[frame * n_mels + band] = 0.0;
        }
    }
    let tensor = |values: Vec<f32>| {
        Tensor::<3>::from_data(TensorData::new(values, [1, frames, n_mels]), &device)
    };
    let want = model.forward(tensor(hidden), &[frames], &mut Mode::Eval);
    let got = model.forward_masked(tensor(plain), &[frames], tensor(visible), &mut Mode::Eval);
    for (a, b) in values(got.logits).iter().zip(values(want.logits)) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn an_utterance_too_short_for_the_encoder_can_be_masked_too() {
    let config = ModelConfig {
        subsampling_padding: SubsamplingPadding::Paper,
        ..tiny()
    };
    let device = Device::flex();
    let model = CtcModel::init(&config, 3, &device).unwrap();
    let features = features(1, config.n_mels, 1, &device);
    let visible = Tensor::ones([1, 1, config.n_mels], &device);
    let output = model.forward_masked(features, &[1], visible, &mut Mode::Eval);
    assert_eq!(output.lengths, [0]);
}

#[test]
fn an_observer_hears_of_every_map_and_changes_nothing() {
    let device = Device::flex();
    let config = &training_variants()[0];
    let model = CtcModel::init(config, 1, &device).unwrap();
    let model = model.with_operations(Operations::Composed);
    let features = batch(model.config().n_mels, TIME, &device);
    let expected = values(
        model
            .forward(features.clone(), &LENGTHS, &mut Mode::Eval)
            .logits,
    );
    let mut told: Vec<(String, usize)> = vec![];
    let mut tell = |name: &str, x: Tensor<3>| told.push((name.to_owned(), x.dims()[2]));
    let output = model.forward(features, &LENGTHS, &mut Mode::Observe(&mut tell));
    assert_eq!(values(output.logits), expected);
    let weights = model.weights();
    for (name, width) in &told {
        assert_eq!(
            weights[&format!("{name}.weight")].shape[0],
            *width,
            "{name}"
        );
    }
    let maps = weights
        .iter()
        .filter(|(name, weight)| weight.shape.len() == 2 && !name.ends_with("depthwise.weight"));
    assert_eq!(told.len(), maps.count(), "{told:?}");
}
