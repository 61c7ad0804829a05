/*
 * nothing_milter - a filter with the callbacks of nixied that does nothing
 *
 * usage: nothing_milter SOCKET
 *
 * What bench_milter measures nixied against: libmilter alone, with the same
 * steps of the protocol and the same macros asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

static unsigned long protocol;

static sfsistat go_on(unsigned long without_reply)
{
    return (protocol & without_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
    (void)ctx;
    (void)name;
    (void)address;
    return go_on(SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
    (void)ctx;
    (void)name;
    return go_on(SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
    (void)ctx;
    (void)arguments;
    return go_on(SMFIP_NR_MAIL);
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
    (void)ctx;
    (void)arguments;
    return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    (void)ctx;
    (void)name;
    (void)value;
    return go_on(SMFIP_NR_HDR);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *bytes, size_t length)
{
    (void)ctx;
    (void)bytes;
    (void)length;
    return SMFIS_SKIP;
}

static sfsistat on_end(SMFICTX *ctx)
{
    (void)ctx;
    return SMFIS_CONTINUE;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions,
                             unsigned long steps, unsigned long f2,
                             unsigned long f3, unsigned long *wanted_actions,
                             unsigned long *wanted_steps,
                             unsigned long *wanted_f2, unsigned long *wanted_f3)
{
    static char connect[] = "j v i {daemon_name}";
    static char helo[] = "{tls_version}";
    static char mail[] = "i {mail_mailer} {auth_authen}";
    static char rcpt[] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}";
    static char end[] = "i {msg_id}";

    (void)f2;
    (void)f3;
    *wanted_actions = actions & (SMFIF_DELRCPT | SMFIF_SETSYMLIST |
                                 SMFIF_ADDHDRS | SMFIF_CHGFROM);
    *wanted_steps = steps & (SMFIP_RCPT_REJ | SMFIP_SKIP | SMFIP_NOUNKNOWN |
                             SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NR_CONN |
                             SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_HDR);
    *wanted_f2 = 0;
    *wanted_f3 = 0;
    protocol = *wanted_steps;
    (void)smfi_setsymlist(ctx, SMFIM_CONNECT, connect);
    (void)smfi_setsymlist(ctx, SMFIM_HELO, helo);
    (void)smfi_setsymlist(ctx, SMFIM_ENVFROM, mail);
    (void)smfi_setsymlist(ctx, SMFIM_ENVRCPT, rcpt);
    (void)smfi_setsymlist(ctx, SMFIM_EOM, end);
    return SMFIS_CONTINUE;
}

int main(int argc, char **argv)
{
    static char name[] = "nothing";
    struct smfiDesc description = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags =
            SMFIF_DELRCPT | SMFIF_SETSYMLIST | SMFIF_ADDHDRS | SMFIF_CHGFROM,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_rcpt,
        .xxfi_header = on_header,
        .xxfi_body = on_body,
        .xxfi_eom = on_end,
        .xxfi_abort = on_end,
        .xxfi_close = on_end,
        .xxfi_negotiate = on_negotiate,
    };

    if (argc != 2) {
        (void)fprintf(stderr, "usage: nothing_milter SOCKET\n");
        return 2;
    }
    (void)umask(0117);
    if (smfi_setconn(argv[1]) != MI_SUCCESS ||
        smfi_register(description) != MI_SUCCESS ||
        smfi_settimeout(3600) != MI_SUCCESS) {
        (void)fprintf(stderr, "nothing_milter: libmilter does not take it\n");
        return 1;
    }
    return smfi_main() == MI_SUCCESS ? 0 : 1;
}
