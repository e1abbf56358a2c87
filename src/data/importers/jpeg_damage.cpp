#include "data/importers/jpeg_damage.h"

#include <csetjmp>
#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>
// after it, whose macros decide what there is
#include <jerror.h>

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

// Undoes the entropy coding and nothing else; true when all of it is sound.
bool sound(std::string_view bytes, Watch& watch) {
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
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

}  // namespace

std::string jpeg_damage(std::string_view bytes) {
  if (!bytes.starts_with("\xFF\xD8\xFF")) return "";
  Watch watch{};
  return sound(bytes, watch) ? "" : watch.message;
}

}  // namespace isnet
