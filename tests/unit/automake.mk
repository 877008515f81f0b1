# Unit tests: one program per module under tests/unit/FOLDER/, named after it.  Each folder's fragment
# appends to check_PROGRAMS and TESTS.
UNIT_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
UNIT_LIBS = $(CMOCKA_LIBS)
