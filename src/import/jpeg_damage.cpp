#include "import/jpeg_damage.h"

#include <csetjmp>
#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>
// after it, whose macros decide what there is
#include <jerror.h>

#include "base/error.h"
#include "import/formats/jpeg_markers.h"

namespace isnet {
namespace {

// libjpeg's way out of an error is longjmp: nothing below has a destructor.
struct Watch {
  jpeg_error_mgr manager;  // first: libjpeg knows only this part
  std::jmp_buf way_out;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* watch = reinterpret_cast<Watch*>(info->err);
  watch->manager.format_message(info, watch->message);
  std::longjmp(watch->way_out, 1);
}

void look_at_warning(j_common_ptr info, int level) {
  if (level >= 0) return;  // told by the way
  switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      leave(info);
    default:
      return;
  }
}

// Whether every coefficient of a progressive file has come with all of its bits.
bool complete(const jpeg_decompress_struct& info) {
  if (!info.progressive_mode || !info.coef_bits) return true;
  for (int component = 0; component < info.num_components; ++component)
    for (int i = 0; i < DCTSIZE2; ++i)
      if (info.coef_bits[component][i] != 0) return false;
  return true;
}

// Undoes the entropy coding and nothing else; true when all of it is sound (and all there, if that is asked).
bool sound(std::string_view bytes, Watch& watch, bool all) {
  jpeg_decompress_struct info{};
  info.err = jpeg_std_error(&watch.manager);
  watch.manager.error_exit = leave;
  watch.manager.emit_message = look_at_warning;
  watch.manager.output_message = [](j_common_ptr) {};
  if (setjmp(watch.way_out)) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&info, TRUE);
  jpeg_read_coefficients(&info);
  const bool good = !all || complete(info);
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return good;
}

}  // namespace

std::string jpeg_damage(std::string_view bytes) {
  if (!bytes.starts_with("\xFF\xD8\xFF")) return "";
  Watch watch{};
  return sound(bytes, watch, false) ? "" : watch.message;
}

std::string with_end_marker(std::string_view bytes) {
  if (!bytes.starts_with("\xFF\xD8\xFF")) return "";
  const auto markers = jpeg_markers(bytes);
  if (markers.end || markers.coded != markers.components) return "";
  while (bytes.ends_with('\xFF')) bytes.remove_suffix(1);  // its first half
  std::string mended = cat(bytes, "\xFF\xD9");
  Watch watch{};
  return sound(mended, watch, true) ? mended : "";
}

}  // namespace isnet
