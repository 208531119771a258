// Runs requests on a SavedModel through the loader that TensorFlow Serving is built on.
//
//   serving_client SAVED_MODEL REQUESTS
//
// REQUESTS holds a folder a request, <signature> or <signature>.<anything>, with a TensorProto a
// file: <input>.pb. Beside them are written <output>.out.pb, or error.txt with what went wrong.

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace fs = std::filesystem;

static std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: serving_client SAVED_MODEL REQUESTS\n";
    return 2;
  }
  tensorflow::SavedModelBundle bundle;
  auto status = tensorflow::LoadSavedModel(tensorflow::SessionOptions(), tensorflow::RunOptions(),
                                           argv[1], {"serve"}, &bundle);
  if (!status.ok()) {
    std::cerr << status.ToString() << "\n";
    return 1;
  }
  const auto& signatures = bundle.meta_graph_def.signature_def();
  std::vector<fs::path> requests;
  for (const auto& entry : fs::directory_iterator(argv[2])) requests.push_back(entry.path());
  for (const auto& request : requests) {
    const std::string folder = request.filename().string();
    const auto& signature = signatures.at(folder.substr(0, folder.find('.')));
    std::vector<std::pair<std::string, tensorflow::Tensor>> inputs;
    for (const auto& entry : fs::directory_iterator(request)) {
      tensorflow::TensorProto proto;
      tensorflow::Tensor tensor;
      if (!proto.ParseFromString(Read(entry.path())) || !tensor.FromProto(proto)) {
        std::cerr << entry.path() << " is no tensor\n";
        return 1;
      }
      inputs.emplace_back(signature.inputs().at(entry.path().stem().string()).name(), tensor);
    }
    std::vector<std::string> names, nodes;
    for (const auto& output : signature.outputs()) {
      names.push_back(output.first);
      nodes.push_back(output.second.name());
    }
    std::vector<tensorflow::Tensor> outputs;
    status = bundle.session->Run(inputs, nodes, {}, &outputs);
    if (!status.ok()) {
      std::ofstream(request / "error.txt") << status.ToString();
      continue;
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      tensorflow::TensorProto proto;
      outputs[i].AsProtoField(&proto);
      std::ofstream file(request / (names[i] + ".out.pb"), std::ios::binary);
      file << proto.SerializeAsString();
    }
  }
  return 0;
}
