use super::*;

fn mixed(rate_hz: u32, frames: &[[f32; 2]]) -> (Vec<f32>, Notices) {
    let (mut mono, mut notices) = (Vec::new(), Notices::default());
    let mut mixer = Mixer::new(rate_hz, 2, 0);
    for block in frames.concat().chunks(998) {
        mixer.push(block, &mut mono, &mut notices);
    }
    mixer.finish(&mut mono, &mut notices);
    (mono, notices)
}

fn tone(i: usize) -> f32 {
    (i as f32 * 0.3).sin() * 0.5
}

#[test]
fn the_mean_is_taken_of_channels_that_do_not_cancel() {
    for pair in [
        |a: f32, b: f32| [a, b],
        |a, _| [a, a],
        |a, _| [a, 0.0],
        |a, _| [a, -0.3 * a],
    ] {
        let frames: Vec<_> = (0..5000).map(|i| pair(tone(i), tone(i * 7 + 3))).collect();
        let (mono, notices) = mixed(1000, &frames);
        assert!(notices.as_slice().is_empty());
        let mean: Vec<f32> = frames.iter().map(|[a, b]| (a + b) * 0.5).collect();
        assert_eq!(mono, mean);
    }
}

#[test]
fn of_channels_that_cancel_the_louder_is_taken_and_said() {
    for (left, right, channel) in [(1.0, -1.0, 0), (0.8, -1.0, 1)] {
        let frames: Vec<_> = (0..2300)
            .map(|i| [left * tone(i), right * tone(i)])
            .collect();
        let (mono, notices) = mixed(1000, &frames);
        let expected: Vec<f32> = frames.iter().map(|frame| frame[channel]).collect();
        assert_eq!(mono, expected);
        let at_secs = 0.0;
        let expected = [AudioNotice::ChannelsCancel { at_secs, channel }];
        assert_eq!(notices.as_slice(), expected);
    }
}

#[test]
fn channels_that_cancel_for_a_while_are_mixed_before_and_after() {
    let cancels = 1500..3000;
    let frames: Vec<_> = (0..5000)
        .map(|i| {
            [
                tone(i),
                if cancels.contains(&i) {
                    -tone(i)
                } else {
                    tone(i)
                },
            ]
        })
        .collect();
    let (mono, notices) = mixed(1000, &frames);
    assert_eq!(mono.len(), frames.len());
    for (i, value) in mono.iter().enumerate() {
        // 10 ms from the mean, which is nothing here, to the channel.
        let share = match i {
            1500..1510 => (i - 1500) as f32 / 10.0,
            _ => 1.0,
        };
        assert!((value - tone(i) * share).abs() < 1e-6, "{i}: {value}");
    }
    let (at_secs, channel) = (1.5, 0);
    assert_eq!(
        notices.as_slice(),
        [AudioNotice::ChannelsCancel { at_secs, channel }]
    );
}
