// The importance matrices in packages/tensor-io/test/fixtures (tiny.imatrix.gguf, tiny.imatrix.dat): llama.cpp's own collector
// (tools/imatrix/imatrix.cpp of its sources) on the embedded model, driven without its options.
//
//   reallm convert packages/tiny/model -o tiny.gguf
//   head -c 30000 packages/pipeline/calibration.txt > calibration.txt
//   g++ -std=c++17 -O1 -I$SOURCES -I$SOURCES/common -I$SOURCES/include -I$SOURCES/ggml/include tools/golden/imatrix.cpp
//     $SOURCES/common/{imatrix-loader,log}.cpp $LIBRARIES/lib{llama-common,llama,ggml,ggml-base}.so -o golden-imatrix
//   golden-imatrix tiny.gguf calibration.txt tiny.imatrix.gguf gguf $LIBRARIES
//   golden-imatrix tiny.gguf calibration.txt tiny.imatrix.dat dat $LIBRARIES
#define main unused_main
#include "tools/imatrix/imatrix.cpp"
#undef main
#include <sstream>
#include <unistd.h>

#include "ggml-backend.h"

int main(int argc, char ** argv) {
  if (argc != 6) return 2;
  const int length = 128, chunks = 16;
  common_params params;
  params.out_file = argv[3];
  params.imat_dat = std::string(argv[4]) == "dat" ? 1 : -1;
  params.prompt_file = "calibration.txt";
  params.n_ctx = params.n_batch = length;
  params.n_parallel = 1;
  params.n_out_freq = 1000;
  g_collector.set_params(params);

  ggml_backend_load_all_from_path(argv[5]);
  llama_backend_init();
  auto * model = llama_model_load_from_file(argv[1], llama_model_default_params());
  auto options = llama_context_default_params();
  options.n_ctx = options.n_batch = options.n_ubatch = length;
  options.n_threads = options.n_threads_batch = 1;
  options.cb_eval = ik_collect_imatrix;
  auto * context = llama_init_from_model(model, options);

  std::ifstream file(argv[2]);
  std::stringstream contents;
  contents << file.rdbuf();
  const std::string text = contents.str();
  std::vector<llama_token> ids(text.size());
  llama_tokenize(llama_model_get_vocab(model), text.c_str(), text.size(), ids.data(), ids.size(), false, false);
  llama_batch batch = llama_batch_init(length, 0, 1);
  for (int chunk = 0; chunk < chunks; chunk++) {
    llama_memory_clear(llama_get_memory(context), true);
    batch.n_tokens = length;
    for (int i = 0; i < length; i++) {
      batch.token[i] = ids[chunk * length + i];
      batch.pos[i] = i;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      // what no logits are wanted of, the last layer leaves out
      batch.logits[i] = true;
    }
    if (llama_decode(context, batch)) return 3;
  }
  g_collector.save_imatrix();
  _exit(0);
}
