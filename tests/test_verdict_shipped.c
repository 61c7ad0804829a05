/*
 * The rules that are shipped, on replies of our own writing: wordings of many
 * systems and languages, so that a new rule which takes what is not its own
 * is seen here.
 *
 * NIXIE_SOURCE  the top of the sources; default: the folder of the test run
 */
#include "verdict.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

struct world {
    struct bounce_rules *rules;
    struct bounce_scratch *scratch;
};

static bool open_world(struct world *world)
{
    const char *top = getenv("NIXIE_SOURCE");
    struct bounce_rules_source source = {NULL, false};
    struct error error = {""};
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/packaging/bounce-rules.conf",
                   top == NULL ? "." : top);
    source.path = path;
    world->rules = bounce_rules_load(&source, 1, &error);
    if (world->rules == NULL) {
        (void)fprintf(stderr, "%s\n", error.text);
        return false;
    }
    world->scratch = bounce_scratch_new(world->rules);
    return world->scratch != NULL;
}

static void close_world(struct world *world)
{
    bounce_scratch_free(world->scratch);
    bounce_rules_free(world->rules);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    assert_true(open_world(world));
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    close_world(*state);
    free(*state);
    return 0;
}

static void classify(const struct world *world, const char *reply,
                     struct verdict *verdict)
{
    struct verdict_question question = {.reply = text_of(reply)};

    verdict_classify(world->rules, world->scratch, &question, verdict);
}

struct row {
    const char *reply;
    enum reason reason;
    enum failure_type type;
};

static bool is_right(const struct world *world, const struct row *row)
{
    struct verdict verdict;
    char rule[VERDICT_RULE_SIZE];

    classify(world, row->reply, &verdict);
    if (verdict.reason == row->reason && verdict.failure_type == row->type) {
        return true;
    }
    (void)fprintf(stderr, "%s: %s, %s by %s\n", row->reply,
                  reason_name(verdict.reason),
                  failure_type_name(verdict.failure_type),
                  verdict_rule_name(&verdict, rule));
    return false;
}

static void check(const struct world *world, const struct row *rows,
                  size_t count)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        wrong += !is_right(world, &rows[i]);
    }
    assert_int_equal(wrong, 0);
}
#define COUNT(rows)        (sizeof(rows) / sizeof(rows)[0])
#define CHECK(state, rows) check(*(state), rows, COUNT(rows))

#define HARD    FAILURE_TYPE_HARD
#define SOFT    FAILURE_TYPE_SOFT
#define IGNORED FAILURE_TYPE_IGNORED

static const struct row systems[] = {
    {"550 5.1.1 Mailbox for ann@example.org does not exist on this system",
     REASON_USER_UNKNOWN, HARD},
    {"550 Unknown address error", REASON_USER_UNKNOWN, HARD},
    {"550 5.1.1 <ann@example.org> Not a registered address",
     REASON_USER_UNKNOWN, HARD},
    {"550 5.2.1 Mailbox access disabled", REASON_ACCOUNT_DISABLED, HARD},
    {"550 Account terminated", REASON_ACCOUNT_DISABLED, HARD},
    {"550 The account was closed by its owner", REASON_ACCOUNT_DISABLED, HARD},
    {"452 4.2.2 Mailbox over quota limit", REASON_MAILBOX_FULL, SOFT},
    {"552 No more space left for this user", REASON_MAILBOX_FULL, SOFT},
    {"550 Message would put the mailbox over its quota", REASON_MAILBOX_FULL,
     SOFT},
    {"552 The message you sent is bigger than the 25 MB allowed",
     REASON_MESSAGE_TOO_LARGE, SOFT},
    {"550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this "
     "recipient",
     REASON_MESSAGE_TOO_LARGE, SOFT},
    {"554 5.3.4 Size of attachments exceeds 10 MB", REASON_MESSAGE_TOO_LARGE,
     SOFT},
    {"550 5.1.2 The host part of the address could not be resolved",
     REASON_DOMAIN_INVALID, SOFT},
    {"554 Unable to find MX for domain", REASON_DOMAIN_INVALID, SOFT},
    {"550 5.4.4 Invalid domain in recipient address", REASON_DOMAIN_INVALID,
     SOFT},
    {"550 5.1.10 This domain has published a null MX and takes no mail",
     REASON_DOMAIN_NO_MAIL, HARD},
    {"451 4.4.3 Cannot resolve example.org at the moment, SERVFAIL from name "
     "server",
     REASON_DNS_FAILURE, SOFT},
    {"550 5.7.1 Sender is not permitted to mail this distribution list",
     REASON_RECIPIENT_REFUSED, SOFT},
    {"550 5.2.1 This person does not wish to get mail from you",
     REASON_RECIPIENT_REFUSED, SOFT},
    {"550 Posting to this list is limited to its subscribers",
     REASON_RECIPIENT_REFUSED, SOFT},
    {"450 4.7.0 Message rate from your domain is above our threshold",
     REASON_RATE_LIMITED, IGNORED},
    {"421 4.7.0 Sessions limit for your IP exceeded", REASON_RATE_LIMITED,
     IGNORED},
    {"452 4.5.3 recipients per message limit is 50", REASON_RATE_LIMITED,
     IGNORED},
    {"450 4.7.1 Delayed by greylist policy, come again in 5 min",
     REASON_GREYLISTED, IGNORED},
    {"451 4.7.1 We have not seen you before, please retry after 5 minutes",
     REASON_GREYLISTED, IGNORED},
    {"550 5.7.1 Email from your server is refused: spam was received from "
     "192.0.2.1",
     REASON_SENDER_BLOCKLISTED, SOFT},
    {"554 Rejected: sending host has negative reputation",
     REASON_SENDER_BLOCKLISTED, SOFT},
    {"550 Connecting host is on our blacklist", REASON_SENDER_BLOCKLISTED,
     SOFT},
    {"550 We require that all hosts have a valid PTR", REASON_PTR_MISSING,
     SOFT},
    {"450 4.7.25 No reverse name for 192.0.2.1", REASON_PTR_MISSING, SOFT},
    {"550 5.7.1 The sender domain's policy does not allow 192.0.2.1 to send "
     "(SPF -all)",
     REASON_AUTH_FAILED, SOFT},
    {"554 5.7.1 Mail from this domain must be DKIM signed", REASON_AUTH_FAILED,
     SOFT},
    {"550 Sender forged: domain owner asks to reject", REASON_AUTH_FAILED,
     SOFT},
    {"550 5.7.1 MAIL FROM domain does not exist", REASON_SENDER_REJECTED, SOFT},
    {"550 Return address cannot be verified", REASON_SENDER_REJECTED, SOFT},
    {"553 5.1.7 The sender's address is malformed", REASON_SENDER_REJECTED,
     SOFT},
    {"550 5.7.1 mail to this domain is not relayed", REASON_RELAY_DENIED, SOFT},
    {"553 5.7.1 you must authenticate to send to external domains",
     REASON_RELAY_DENIED, SOFT},
    {"554 5.7.1 sender not authorised to relay through this host",
     REASON_RELAY_DENIED, SOFT},
    {"554 5.7.1 Mail looks like unsolicited bulk", REASON_SPAM_CONTENT, SOFT},
    {"550 5.7.1 This mail has been flagged by our anti-spam engine",
     REASON_SPAM_CONTENT, SOFT},
    {"554 Transaction rejected: body contains spam signature",
     REASON_SPAM_CONTENT, SOFT},
    {"554 5.7.1 Archive contains executable file, refused",
     REASON_CONTENT_REJECTED, SOFT},
    {"550 Subject is empty, rejected", REASON_CONTENT_REJECTED, SOFT},
    {"550 5.6.0 Invalid From header", REASON_CONTENT_REJECTED, SOFT},
    {"554 Infected message refused", REASON_VIRUS, SOFT},
    {"550 5.7.10 Plain text connection refused: TLS needed", REASON_TLS_FAILED,
     SOFT},
    {"454 TLS not available at the moment", REASON_TLS_FAILED, SOFT},
    {"501 5.5.2 syntax error in MAIL command", REASON_PROTOCOL_ERROR, SOFT},
    {"503 send HELO first", REASON_PROTOCOL_ERROR, SOFT},
    {"500 line too long", REASON_PROTOCOL_ERROR, SOFT},
    {"550 5.7.1 Blocked by gateway rule 14", REASON_POLICY_BLOCK, SOFT},
    {"554 5.7.1 Delivery restricted by the administrator", REASON_POLICY_BLOCK,
     SOFT},
    {"550 rejected by our mail security settings", REASON_POLICY_BLOCK, SOFT},
    {"451 4.3.0 User database is temporarily not reachable",
     REASON_SYSTEM_ERROR, SOFT},
    {"451 4.3.5 Misconfigured alias on our side", REASON_SYSTEM_ERROR, SOFT},
    {"554 5.3.0 Delivery agent crashed with signal 11", REASON_SYSTEM_ERROR,
     SOFT},
    {"452 4.3.1 File system is full", REASON_SYSTEM_FULL, SOFT},
    {"421 4.4.2 Idle for too long, closing", REASON_UNREACHABLE, SOFT},
    {"451 4.4.1 Host example.org does not respond", REASON_UNREACHABLE, SOFT},
    {"No response from any of the mail exchangers", REASON_UNREACHABLE, SOFT},
    {"554 5.4.6 message has passed through too many servers",
     REASON_ROUTING_LOOP, SOFT},
    {"The message was in the queue for more than 4 days and is returned",
     REASON_EXPIRED, SOFT},
    {"5.4.7 Retry period over; giving up", REASON_EXPIRED, SOFT},
    {"451 4.7.0 Come back tomorrow", REASON_TRANSIENT, IGNORED},
    {"451 4.3.0 resources temporarily exhausted", REASON_TRANSIENT, IGNORED},
    {"421 We are doing maintenance", REASON_TRANSIENT, IGNORED},
    {"550 This recipient has unsubscribed from your mailings and is suppressed",
     REASON_SUPPRESSED, HARD},
    {"554 5.1.1 address suppressed due to previous hard bounce",
     REASON_SUPPRESSED, HARD},
    {"551 5.1.6 ann now has the address ann@example.com", REASON_USER_MOVED,
     HARD},
    {"550 The mailbox was migrated to another provider", REASON_USER_MOVED,
     HARD},
    {"501 5.1.3 recipient address contains illegal characters",
     REASON_ADDRESS_INVALID, HARD},
    {"553 malformed recipient", REASON_ADDRESS_INVALID, HARD},
    {"452 No hay espacio en el disco del servidor", REASON_SYSTEM_FULL, SOFT},
    {"452 4.3.1 mail store is out of space", REASON_SYSTEM_FULL, SOFT},
    {"451 4.4.3 resolver timed out for example.org", REASON_DNS_FAILURE, SOFT},
    {"550 5.1.10 mx of the domain is a single dot: no mail accepted",
     REASON_DOMAIN_NO_MAIL, HARD},
    {"554 5.4.6 Mail is looping between servers", REASON_ROUTING_LOOP, SOFT},
    {"5.4.7 not delivered within 72 hours", REASON_EXPIRED, SOFT},
    {"450 4.7.1 Deferred by greylister for 120 seconds", REASON_GREYLISTED,
     IGNORED},
    {"550 5.7.25 Host name of 192.0.2.1 could not be found by reverse lookup",
     REASON_PTR_MISSING, SOFT},
    {"552 5.7.1 malware detected, mail refused", REASON_VIRUS, SOFT},
    {"550 5.7.10 mail only over encrypted connections", REASON_TLS_FAILED,
     SOFT},
    {"550 5.1.1 address is on our suppression list after hard bounces",
     REASON_SUPPRESSED, HARD},
    {"551 User has moved, new address is ann@example.com", REASON_USER_MOVED,
     HARD},
    {"554 Votre message contient un virus", REASON_VIRUS, SOFT},
    {"451 4.4.3 DNS lookup failure, try again", REASON_DNS_FAILURE, SOFT},
    {"554 5.4.6 mail loop detected", REASON_ROUTING_LOOP, SOFT},
};

static const struct row languages[] = {
    {"550 5.2.1 <ann@example.org>: compte résilié", REASON_ACCOUNT_DISABLED,
     HARD},
    {"550 No existe ningún usuario con esa dirección de correo en este "
     "servidor",
     REASON_USER_UNKNOWN, HARD},
    {"552 El destinatario no dispone de espacio suficiente en su buzón",
     REASON_MAILBOX_FULL, SOFT},
    {"553 Dirección de remitente no válida", REASON_SENDER_REJECTED, SOFT},
    {"554 Correo rechazado: su IP tiene mala reputación",
     REASON_SENDER_BLOCKLISTED, SOFT},
    {"451 Inténtelo de nuevo más tarde", REASON_TRANSIENT, IGNORED},
    {"552 L'espace disque alloué au destinataire est insuffisant",
     REASON_MAILBOX_FULL, SOFT},
    {"550 Adresse de l'expéditeur refusée", REASON_SENDER_REJECTED, SOFT},
    {"554 Message considéré comme du spam", REASON_SPAM_CONTENT, SOFT},
    {"550 Votre serveur est blacklisté", REASON_SENDER_BLOCKLISTED, SOFT},
    {"550 Das Konto des Empfängers wurde gekündigt", REASON_ACCOUNT_DISABLED,
     HARD},
    {"552 Die Mailbox des Empfängers hat ihr Limit erreicht",
     REASON_MAILBOX_FULL, SOFT},
    {"554 Ihre E-Mail wurde als unerwünscht eingestuft und abgewiesen",
     REASON_SPAM_CONTENT, SOFT},
    {"450 Bitte versuchen Sie es später noch einmal", REASON_TRANSIENT,
     IGNORED},
    {"550 Aus Sicherheitsgründen abgelehnt", REASON_POLICY_BLOCK, SOFT},
    {"552 Maximale Nachrichtengröße überschritten", REASON_MESSAGE_TOO_LARGE,
     SOFT},
    {"530 È richiesta l'autenticazione SMTP", REASON_RELAY_DENIED, SOFT},
    {"451 Riprovare più tardi", REASON_TRANSIENT, IGNORED},
    {"550 O destinatário informado não existe", REASON_USER_UNKNOWN, HARD},
    {"550 Usuário inexistente", REASON_USER_UNKNOWN, HARD},
    {"552 O destinatário excedeu a cota de armazenamento", REASON_MAILBOX_FULL,
     SOFT},
    {"550 Endereço do remetente inválido", REASON_SENDER_REJECTED, SOFT},
    {"550 Brak takiego użytkownika", REASON_USER_UNKNOWN, HARD},
    {"550 Konto zostało zawieszone", REASON_ACCOUNT_DISABLED, HARD},
    {"552 Skrzynka pocztowa jest zapełniona", REASON_MAILBOX_FULL, SOFT},
    {"550 Adres nadawcy został odrzucony", REASON_SENDER_REJECTED, SOFT},
    {"450 Proszę spróbować ponownie później", REASON_TRANSIENT, IGNORED},
    {"552 Rozmiar wiadomości przekracza dozwolony limit",
     REASON_MESSAGE_TOO_LARGE, SOFT},
    {"550 Адресат не зарегистрирован на этом сервере", REASON_USER_UNKNOWN,
     HARD},
    {"550 Ящик закрыт", REASON_ACCOUNT_DISABLED, HARD},
    {"552 У получателя закончилось место в ящике", REASON_MAILBOX_FULL, SOFT},
    {"550 Адрес отправителя не существует", REASON_SENDER_REJECTED, SOFT},
    {"530 Требуется авторизация", REASON_RELAY_DENIED, SOFT},
    {"450 Попробуйте ещё раз через несколько минут", REASON_TRANSIENT, IGNORED},
    {"550 Адресу не знайдено на цьому сервері", REASON_USER_UNKNOWN, HARD},
    {"552 Недостатньо місця у скриньці одержувача", REASON_MAILBOX_FULL, SOFT},
    {"450 Спробуйте пізніше", REASON_TRANSIENT, IGNORED},
    {"450 Сірий список, спробуйте пізніше", REASON_GREYLISTED, IGNORED},
    {"550 Belirtilen alıcı bulunamadı", REASON_USER_UNKNOWN, HARD},
    {"550 Bu hesap kapatılmıştır", REASON_ACCOUNT_DISABLED, HARD},
    {"552 Alıcının kotası dolmuştur", REASON_MAILBOX_FULL, SOFT},
    {"550 Gönderici adresi geçersiz", REASON_SENDER_REJECTED, SOFT},
    {"450 Lütfen daha sonra tekrar deneyin", REASON_TRANSIENT, IGNORED},
    {"554 Mesajınız spam olarak algılandı", REASON_SPAM_CONTENT, SOFT},
    {"550 Schránka je zrušena", REASON_ACCOUNT_DISABLED, HARD},
    {"552 Příjemce má plnou schránku", REASON_MAILBOX_FULL, SOFT},
    {"550 Předávání zpráv není povoleno", REASON_RELAY_DENIED, SOFT},
    {"450 Zkuste to prosím později", REASON_TRANSIENT, IGNORED},
    {"450 Překročen limit počtu zpráv", REASON_RATE_LIMITED, IGNORED},
    {"550 Vidarebefordran tillåts inte", REASON_RELAY_DENIED, SOFT},
    {"550 このアドレスは使われておりません", REASON_USER_UNKNOWN, HARD},
    {"550 このアカウントは現在利用できません", REASON_ACCOUNT_DISABLED, HARD},
    {"552 受信トレイの空き容量が不足しています", REASON_MAILBOX_FULL, SOFT},
    {"550 差出人アドレスが無効です", REASON_SENDER_REJECTED, SOFT},
    {"550 中継は許可されていません", REASON_RELAY_DENIED, SOFT},
    {"450 しばらくしてから再度お試しください", REASON_TRANSIENT, IGNORED},
    {"550 您所发送的邮箱地址不存在", REASON_USER_UNKNOWN, HARD},
    {"550 该邮箱已被冻结", REASON_ACCOUNT_DISABLED, HARD},
    {"552 对方邮箱容量已满", REASON_MAILBOX_FULL, SOFT},
    {"550 发件人地址无效", REASON_SENDER_REJECTED, SOFT},
    {"550 不允许转发", REASON_RELAY_DENIED, SOFT},
    {"450 系统繁忙，请稍后再试", REASON_TRANSIENT, IGNORED},
    {"550 없는 사용자입니다", REASON_USER_UNKNOWN, HARD},
    {"552 받는 사람의 메일함 용량이 초과되었습니다", REASON_MAILBOX_FULL, SOFT},
    {"550 발신자 주소가 유효하지 않습니다", REASON_SENDER_REJECTED, SOFT},
    {"550 릴레이가 허용되지 않습니다", REASON_RELAY_DENIED, SOFT},
    {"450 잠시 후 다시 시도해 주십시오", REASON_TRANSIENT, IGNORED},
    {"450 발송량이 제한을 초과했습니다", REASON_RATE_LIMITED, IGNORED},
    {"550 El buzón fue cancelado por el usuario", REASON_ACCOUNT_DISABLED,
     HARD},
    {"554 Kein Reverse-DNS für Ihre IP vorhanden", REASON_PTR_MISSING, SOFT},
    {"Não foi possível conectar ao servidor", REASON_UNREACHABLE, SOFT},
    {"550 Адреса відправника не існує", REASON_SENDER_REJECTED, SOFT},
    {"554 Повідомлення відхилено як спам", REASON_SPAM_CONTENT, SOFT},
    {"450 Gönderim limiti aşıldı", REASON_RATE_LIMITED, IGNORED},
    {"451 Sunucu hatası", REASON_SYSTEM_ERROR, SOFT},
    {"550 Adresa příjemce není platná", REASON_USER_UNKNOWN, HARD},
    {"550 Účet je deaktivován", REASON_ACCOUNT_DISABLED, HARD},
    {"554 Zpráva odmítnuta jako spam", REASON_SPAM_CONTENT, SOFT},
    {"552 Quota überschritten", REASON_MAILBOX_FULL, SOFT},
    {"552 Mesaj boyutu çok büyük", REASON_MESSAGE_TOO_LARGE, SOFT},
    {"421 Muitas conexões simultâneas", REASON_RATE_LIMITED, IGNORED},
    {"550 Relay não permitido", REASON_RELAY_DENIED, SOFT},
    {"554 El mensaje ha sido identificado como correo no deseado",
     REASON_SPAM_CONTENT, SOFT},
    {"552 El correo es demasiado grande para ser aceptado",
     REASON_MESSAGE_TOO_LARGE, SOFT},
    {"Tiempo de espera agotado al conectar con el servidor", REASON_UNREACHABLE,
     SOFT},
    {"550 Die E-Mail-Adresse ist uns nicht bekannt", REASON_USER_UNKNOWN, HARD},
    {"550 La casella di posta indicata non esiste", REASON_USER_UNKNOWN, HARD},
    {"550 Casella inattiva", REASON_ACCOUNT_DISABLED, SOFT},
    {"552 Spazio su disco dell'utente superato", REASON_MAILBOX_FULL, SOFT},
    {"554 Il vostro indirizzo IP risulta in una lista nera",
     REASON_SENDER_BLOCKLISTED, SOFT},
    {"550 Er bestaat geen gebruiker met dit adres", REASON_USER_UNKNOWN, HARD},
    {"552 De mailbox zit vol", REASON_MAILBOX_FULL, SOFT},
    {"550 U mag deze server niet gebruiken als relay", REASON_RELAY_DENIED,
     SOFT},
    {"554 El servidor remitente figura en listas negras",
     REASON_SENDER_BLOCKLISTED, SOFT},
    {"No se pudo conectar con el servidor de destino", REASON_UNREACHABLE,
     SOFT},
    {"452 No hay espacio en el disco del servidor", REASON_SYSTEM_FULL, SOFT},
    {"552 La messagerie du destinataire a atteint sa limite",
     REASON_MAILBOX_FULL, SOFT},
    {"Impossibile contattare il server remoto", REASON_UNREACHABLE, SOFT},
    {"550 El usuario ha bloqueado este remitente", REASON_RECIPIENT_REFUSED,
     SOFT},
    {"554 Votre message contient un virus", REASON_VIRUS, SOFT},
    {"550 Relay nicht erlaubt", REASON_RELAY_DENIED, SOFT},
    {"550 Das Postfach ist deaktiviert", REASON_ACCOUNT_DISABLED, HARD},
    {"550 Dieses Konto wurde geschlossen", REASON_ACCOUNT_DISABLED, HARD},
    {"Die Nachricht konnte 5 Tage lang nicht zugestellt werden", REASON_EXPIRED,
     SOFT},
    {"554 Votre adresse IP est sur une liste noire", REASON_SENDER_BLOCKLISTED,
     SOFT},
    {"554 Falta el registro PTR de su IP", REASON_PTR_MISSING, SOFT},
    {"550 El mensaje no supera SPF", REASON_AUTH_FAILED, SOFT},
    {"550 El remitente no existe", REASON_SENDER_REJECTED, SOFT},
    {"550 Afzender geweigerd", REASON_SENDER_REJECTED, SOFT},
    {"550 Relay niet toegestaan", REASON_RELAY_DENIED, SOFT},
    {"550 Ihre Nachricht wurde als Spam eingestuft", REASON_SPAM_CONTENT, SOFT},
};

/* The same words, said of something else. */
static const struct row alike[] = {
    {"550 Mailbox unavailable", REASON_USER_UNKNOWN, HARD},
    {"450 Mailbox unavailable", REASON_TRANSIENT, IGNORED},
    {"550 5.2.2 quota exceeded", REASON_MAILBOX_FULL, SOFT},
    {"550 sending quota exceeded", REASON_RATE_LIMITED, IGNORED},
    {"550 5.1.2 recipient domain does not exist", REASON_DOMAIN_INVALID, SOFT},
    {"550 domain of sender does not exist", REASON_SENDER_REJECTED, SOFT},
    {"550 recipient does not exist", REASON_USER_UNKNOWN, HARD},
    {"554 Sender address rejected: user unknown", REASON_SENDER_REJECTED, SOFT},
    {"554 Recipient address rejected: user unknown", REASON_USER_UNKNOWN, HARD},
    {"550 the user is blocked", REASON_ACCOUNT_DISABLED, HARD},
    {"550 the user has blocked you", REASON_RECIPIENT_REFUSED, SOFT},
    {"550 your host is blocked", REASON_SENDER_BLOCKLISTED, SOFT},
    {"550 account temporarily suspended", REASON_ACCOUNT_DISABLED, SOFT},
    {"550 account suspended", REASON_ACCOUNT_DISABLED, HARD},
    {"450 account suspended", REASON_ACCOUNT_DISABLED, SOFT},
    {"451 no reverse DNS for your host", REASON_PTR_MISSING, SOFT},
    {"451 DNS lookup of the domain failed", REASON_DNS_FAILURE, SOFT},
    {"421 too many connections, try again in 5 minutes", REASON_RATE_LIMITED,
     IGNORED},
    {"421 please try again in 5 minutes", REASON_GREYLISTED, IGNORED},
    {"552 message too large for this mailbox", REASON_MESSAGE_TOO_LARGE, SOFT},
    {"552 mailbox too full for this message", REASON_MAILBOX_FULL, SOFT},
    {"550 user has too many messages", REASON_MAILBOX_FULL, SOFT},
    {"450 too many messages from you", REASON_RATE_LIMITED, IGNORED},
    {"550 #5.1.0 address rejected", REASON_USER_UNKNOWN, HARD},
    {"550 denied by the policy of this site", REASON_POLICY_BLOCK, SOFT},
    {"451 the greylist is full of you", REASON_GREYLISTED, IGNORED},
    {"550 attachment too big", REASON_MESSAGE_TOO_LARGE, SOFT},
    {"550 attachment not allowed", REASON_CONTENT_REJECTED, SOFT},
    {"450 4.2.2 full", REASON_MAILBOX_FULL, SOFT},
    {"452 4.3.1 full", REASON_SYSTEM_FULL, SOFT},
};

/* Words of recipients, said of us, our message or our host. */
static const char *const ours[] = {
    "550 Sender mailbox does not exist",
    "550 The user bob@example.com who sent this does not exist (sender check)",
    "550 5.1.7 no such user (MAIL FROM)",
    "550 5.1.0 unknown sender account",
    "550 your account has been disabled",
    "550 sending account suspended",
    "550 The sender's account is closed",
    "550 From user does not exist",
    "550 MAIL FROM address unknown",
    "550 Originating address is not valid",
    "550 verification of your address failed: mailbox not found",
    "550 could not verify return path: user unknown",
    "550 Envelope sender user unknown",
    "501 5.1.7 address malformed: bob (sender)",
    "550 La cuenta del remitente no existe",
    "550 Le compte de l'expéditeur est désactivé",
    "550 Das Konto des Absenders ist gesperrt",
    "550 L'account del mittente non esiste",
    "550 A conta do remetente não existe",
    "550 Account van de afzender bestaat niet",
    "550 Konto nadawcy nie istnieje",
    "550 Учётная запись отправителя заблокирована",
    "550 Скринька відправника не існує",
    "550 Gönderenin hesabı bulunamadı",
    "550 Účet odesílatele neexistuje",
    "550 Avsändarens konto finns inte",
    "550 送信者のアカウントが存在しません",
    "550 发件人账号不存在",
    "550 보낸 사람의 계정이 존재하지 않습니다",
    "501 Syntax error in HELO address",
    "550 unknown command or user",
    "501 5.5.4 unknown parameter",
    "550 HELO name does not exist",
    "550 user not authenticated, relaying to unknown users denied",
    "535 Invalid user or password",
    "535 5.7.8 Username and Password not accepted",
    "535 Unknown user or bad password",
    "530 login required: no such session",
    "550 5.7.1 local user only: you must log in",
    "550 unknown header address",
    "554 invalid address in the From: header",
    "554 5.6.0 invalid address in Reply-To header",
    "550 Attachment name is invalid",
    "550 unknown user complaints: IP is blocked",
    "550 too many unknown users from your IP, blocked",
    "550 5.7.1 directory harvest attack: unknown users",
    "550 Too many unknown recipients",
    "550 user reported as spam: mail rejected",
    "554 mailbox of the user rejects spam",
    "550 policy: unknown recipients may not be mailed",
    "550 user requires TLS",
    "550 SPF: user does not exist in domain record",
    "550 DMARC: invalid address alignment",
    "550 your address does not exist in reverse DNS",
    "550 5.7.25 unknown host name for your address",
    "552 message too large for this account",
    "554 user limit: message size exceeds 10 MB",
    "550 user sent a virus",
    "550 your e-mail address is blocked",
    "550 the address 192.0.2.1 is not valid for sending",
    "553 5.1.7 address syntax of MAIL FROM is wrong",
    "550 Message rejected: bob@example.com is not a valid sender",
    "550 Client bob is not allowed; account disabled",
    "550 5.7.1 Outgoing mail for account bob is disabled",
    "550 5.1.8 account exceeded outbound limits and was suspended",
    "550 5.1.8 Access denied, bad outbound sender, account disabled",
};

static void shipped_rules_know_what_systems_write(void **state)
{
    CHECK(state, systems);
}

static void shipped_rules_know_what_is_said_in_other_languages(void **state)
{
    CHECK(state, languages);
}

static void shipped_rules_tell_words_that_are_said_of_several(void **state)
{
    CHECK(state, alike);
}

static void shipped_rules_of_a_reply_that_blames_us_are_never_hard(void **state)
{
    struct verdict verdict;
    size_t wrong = 0;

    for (size_t i = 0; i < COUNT(ours); i++) {
        classify(*state, ours[i], &verdict);
        if (verdict.failure_type == HARD) {
            (void)fprintf(stderr, "%s: %s\n", ours[i],
                          reason_name(verdict.reason));
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* --- without a compiler ------------------------------------------------ */

/* As MemoryDenyWriteExecute= of systemd: no memory for code that is made. */
static bool deny_code(void)
{
    void *memory;

    if (prctl(PR_SET_MDWE, (unsigned long)PR_MDWE_REFUSE_EXEC_GAIN, 0UL, 0UL,
              0UL) != 0) {
        return false;
    }
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED;
}

enum child { CHILD_RIGHT, CHILD_WRONG, CHILD_CANNOT };

static enum child child_without_code(void)
{
    struct world world = {NULL, NULL};
    enum child result = CHILD_WRONG;
    size_t right = 0;

    if (!deny_code()) {
        return CHILD_CANNOT;
    }
    if (open_world(&world)) {
        for (size_t i = 0; i < COUNT(systems); i++) {
            right += is_right(&world, &systems[i]);
        }
        for (size_t i = 0; i < COUNT(languages); i++) {
            right += is_right(&world, &languages[i]);
        }
        result = right == COUNT(systems) + COUNT(languages) ? CHILD_RIGHT
                                                            : CHILD_WRONG;
    }
    close_world(&world);
    return result;
}

static void shipped_rules_hold_where_no_code_may_be_made(void **state)
{
    pid_t child = fork();
    int status = -1;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        _exit((int)child_without_code());
    }
    while (waitpid(child, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_CANNOT) {
        skip(); /* a kernel before 6.3 */
    }
    assert_int_equal(WEXITSTATUS(status), CHILD_RIGHT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shipped_rules_know_what_systems_write),
        TEST(shipped_rules_know_what_is_said_in_other_languages),
        TEST(shipped_rules_tell_words_that_are_said_of_several),
        TEST(shipped_rules_of_a_reply_that_blames_us_are_never_hard),
        cmocka_unit_test(shipped_rules_hold_where_no_code_may_be_made),
    };

    return cmocka_run_group_tests_name("verdict_shipped", tests, NULL, NULL);
}
