import sys, wave
import numpy as np, sherpa_onnx

recognizer = sherpa_onnx.OfflineRecognizer.from_zipformer_ctc(
    model="model.onnx", tokens="tokens.txt", num_threads=1
)
with wave.open(sys.argv[1]) as clip:  # 16-bit mono
    rate_hz = clip.getframerate()
    samples = np.frombuffer(clip.readframes(clip.getnframes()), np.int16) / np.float32(32768)
stream = recognizer.create_stream()
stream.accept_waveform(rate_hz, samples)
recognizer.decode_stream(stream)
print(stream.result.text.strip())
