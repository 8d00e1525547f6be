#include "addon.h"

namespace keelson {
namespace {

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, std::function<void()> work, std::function<Napi::Value(Napi::Env)> result)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)),
        result_(std::move(result)) {}

  Napi::Promise Promise() { return deferred_.Promise(); }

  void Execute() override {
    try {
      work_();
    } catch (const SysError& e) {
      failed_ = true;
      error_ = e;
    }
  }

  void OnOK() override {
    Napi::Env env = Env();
    if (!failed_) {
      deferred_.Resolve(result_ ? result_(env) : env.Undefined());
      return;
    }
    Napi::Error error = Napi::Error::New(env, error_.call + ": " + strerror(error_.number));
    const char* name = strerrorname_np(error_.number);
    error.Set("code", Napi::String::New(env, name ? name : "EUNKNOWN"));
    error.Set("errno", Napi::Number::New(env, error_.number));
    error.Set("syscall", Napi::String::New(env, error_.call));
    deferred_.Reject(error.Value());
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::function<void()> work_;
  std::function<Napi::Value(Napi::Env)> result_;
  bool failed_ = false;
  SysError error_{0, ""};
};

}  // namespace

Napi::Value Promised(Napi::Env env, std::function<void()> work,
                     std::function<Napi::Value(Napi::Env)> result) {
  auto* worker = new Worker(env, std::move(work), std::move(result));
  Napi::Promise promise = worker->Promise();
  worker->Queue();
  return promise;
}

}  // namespace keelson
