// The version of isnet as the preprocessor sees it: plug-ins are compiled against it.
#pragma once

/// Equal to PROJECT_VERSION in CMakeLists.txt (the build checks it).
#define ISNET_VERSION "0.1.0"
