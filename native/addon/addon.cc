// Entry of the addon: each file of this folder registers its own functions here.
#include "addon.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  keelson::RegisterFilesystem(env, exports);
  keelson::RegisterIdmap(env, exports);
  keelson::RegisterNetlink(env, exports);
  keelson::RegisterNetfilter(env, exports);
  keelson::RegisterProcess(env, exports);
  keelson::RegisterNamespace(env, exports);
  keelson::RegisterLayer(env, exports);
  keelson::RegisterAnnounce(env, exports);
  return exports;
}

NODE_API_MODULE(keelson_addon, Init)
