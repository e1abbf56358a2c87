# Fails when LIBRARY defines a vtable or a type of Gloo's or of the classes that derive from them.
execute_process(COMMAND ${NM} --defined-only --demangle ${LIBRARY} OUTPUT_VARIABLE symbols RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR NOT symbols MATCHES "isnet::")
  message(FATAL_ERROR "${NM} did not list the symbols of ${LIBRARY}")
endif()
string(REGEX MATCHALL "(vtable|typeinfo) for [^\n]*([Gg]loo::|GlooStore)[^\n]*" found "${symbols}")
if(found)
  message(FATAL_ERROR "${LIBRARY} defines what belongs to Gloo: ${found}")
endif()
