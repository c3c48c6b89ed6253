# Turn text files into C arrays: cmake -DOUT=FILE.c -DFILES=a.sql,b.sql -P embed.cmake
# a.sql becomes "const char embed_a_sql[]", zero-terminated.
file(WRITE ${OUT}.new "/* Made by cmake/embed.cmake from the files named below. */\n")
string(REPLACE "," ";" FILES "${FILES}")
foreach(path ${FILES})
	get_filename_component(name ${path} NAME)
	string(MAKE_C_IDENTIFIER ${name} id)
	file(READ ${path} hex HEX)
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
	string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
	file(APPEND ${OUT}.new "/* ${name} */\nextern const char embed_${id}[];\nconst char embed_${id}[] = {\n${bytes}0};\n")
endforeach()
file(RENAME ${OUT}.new ${OUT})
