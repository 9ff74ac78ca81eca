/* FUNCTION() is tanhlut_mode, or what -DASKED=mean makes of it; FUNCTION(_array) likewise. */
#include "tanhlut.h"
#ifndef ASKED
#define ASKED mode
#endif
#define JOINED(name, end) tanhlut_##name##end
#define NAMED(name, end) JOINED(name, end)
#define FUNCTION(end) NAMED(ASKED, end)
