#include <stdio.h>
#include <string.h>
#include "sherpa-onnx/c-api/c-api.h"

int main(int argc, char **argv) {
  SherpaOnnxOfflineRecognizerConfig config;
  memset(&config, 0, sizeof(config));
  config.feat_config.sample_rate = 16000;
  config.feat_config.feature_dim = 80;
  config.model_config.zipformer_ctc.model = "model.onnx";
  config.model_config.tokens = "tokens.txt";
  config.model_config.num_threads = 1;
  config.decoding_method = "greedy_search";
  const SherpaOnnxOfflineRecognizer *recognizer = SherpaOnnxCreateOfflineRecognizer(&config);
  const SherpaOnnxWave *clip = SherpaOnnxReadWave(argc > 1 ? argv[1] : "clip.wav");
  if (!recognizer || !clip) return 1;
  const SherpaOnnxOfflineStream *stream = SherpaOnnxCreateOfflineStream(recognizer);
  SherpaOnnxAcceptWaveformOffline(stream, clip->sample_rate, clip->samples, clip->num_samples);
  SherpaOnnxDecodeOfflineStream(recognizer, stream);
  const SherpaOnnxOfflineRecognizerResult *result = SherpaOnnxGetOfflineStreamResult(stream);
  printf("%s\n", result->text);
  SherpaOnnxDestroyOfflineRecognizerResult(result);
  SherpaOnnxDestroyOfflineStream(stream);
  SherpaOnnxFreeWave(clip);
  SherpaOnnxDestroyOfflineRecognizer(recognizer);
  return 0;
}
