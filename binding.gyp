{
  "target_defaults": {
    "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"],
    "cflags!": ["-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++20", "-std=gnu++17"]
  },
  "targets": [
    {
      "target_name": "keelson_addon",
      "sources": ["<!@(ls native/addon/*.cc)"],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS"]
    },
    {
      "target_name": "keelson-shim",
      "type": "executable",
      "sources": ["<!@(ls native/shim/*.cc)"],
      "cflags_cc": ["-fno-rtti", "-fno-exceptions", "-Os"],
      "ldflags": ["-static", "-s"],
      "libraries": ["-l:libseccomp.a"]
    },
    {
      "target_name": "keelson-demo",
      "type": "executable",
      "sources": ["<!@(ls native/demo/*.cc)"],
      "cflags_cc": ["-fno-rtti", "-fno-exceptions", "-Os"],
      "ldflags": ["-static", "-s"]
    }
  ]
}
