dnl nixie.m4 - FEATURE(`nixie') for sendmail.mc
dnl
dnl Copy it into the folder "feature" of Sendmail's m4 files (Debian:
dnl /usr/share/sendmail/cf/feature) and write into sendmail.mc, before the
dnl MAILER lines and before other mail filters:
dnl
dnl   FEATURE(`nixie')
dnl   FEATURE(`nixie', `SOCKET')
dnl   FEATURE(`nixie', `SOCKET', `FLAG')
dnl
dnl SOCKET  where nixied listens, spelled as milter_socket in nixie.conf;
dnl         when empty or left out unix:/run/nixie/milter.sock.
dnl FLAG    what happens to mail while nixied is away. Left out, mail passes,
dnl         neither checked nor recorded; T answers 451, R 554, and 4 ends
dnl         the session with 421.
dnl
dnl Timeouts: C to connect, S to send, R for an answer, E for the end of a
dnl message. nixied answers from memory: what takes seconds is broken, and
dnl the five minutes that Sendmail would wait for a connection hold up every
dnl client.
dnl
dnl Macros: nixied asks for those that it needs, and Sendmail 8.14 and later
dnl sends what is asked for. The lists name them for anything between the two
dnl that does not pass the question on; they add to what sendmail.mc has.
divert(0)dnl
VERSIONID(`nixie.m4')
divert(-1)
define(`_NIXIE_SOCKET_', ifelse(len(X`'_ARG_), `1',
	``unix:/run/nixie/milter.sock'', `defn(`_ARG_')'))
define(`_NIXIE_FLAG_', ifelse(len(X`'_ARG2_), `1', `',
	_ARG2_, `T', `` F=T,'', _ARG2_, `R', `` F=R,'', _ARG2_, `4', `` F=4,'',
	`errprint(`*** ERROR: FEATURE(nixie): the flag '"_ARG2_"` is none of T, R, 4
')'))
INPUT_MAIL_FILTER(`nixie',
	`S='defn(`_NIXIE_SOCKET_')`,'defn(`_NIXIE_FLAG_')` T=C:2s;S:5s;R:5s;E:30s')
define(`confMILTER_MACROS_CONNECT', defn(`confMILTER_MACROS_CONNECT')``, i'')
define(`confMILTER_MACROS_ENVRCPT', defn(`confMILTER_MACROS_ENVRCPT')``, i'')
define(`confMILTER_MACROS_EOM', defn(`confMILTER_MACROS_EOM')``, i'')
