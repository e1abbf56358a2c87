#include "trainer/schedules/schedule.h"

namespace isnet {
namespace {

const Registration<Schedule> registration(schedules(), {"constant",
                                                        "The same rate throughout",
                                                        {},
                                                        [](const ScheduleOptions& options, const Progress&) {
                                                          return options.rate;
                                                        }});

}  // namespace
}  // namespace isnet
