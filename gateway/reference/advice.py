"""What each problem code means to a person, and what to do about it, in both languages of its page."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    meaning: str
    advice: str


@dataclass(frozen=True)
class Explanation:
    en: Text
    zh: Text


def _said(en: tuple[str, str], zh: tuple[str, str]) -> Explanation:
    return Explanation(Text(*en), Text(*zh))


_RETRY = (
    "Try again after the seconds that Retry-After names, with the same Idempotency-Key.",
    "请在 Retry-After 所示的秒数之后重试，并使用相同的 Idempotency-Key。",
)
_SIGN_IN = ("Exchange the refresh token, or sign in again.", "请用刷新令牌换取新令牌，或重新登录。")
_SIGN_IN_ANEW = ("Sign in again.", "请重新登录。")
_REPORT = (
    "Try again later. If it stays, report it with the request_id: the operator's logs carry it.",
    "请稍后重试。若仍然如此，请把 request_id 告诉管理员，日志里能查到它。",
)
_READ_AGAIN = ("Read the list again; what is shown there is what there is.", "请重新读取列表，以列表所示为准。")
_LOOK_AT_ERRORS = (
    "Each entry of errors names a part of the request and what is wrong with it.",
    "errors 中的每一项都指出请求的哪一部分有错，以及错在哪里。",
)
_LOOK_AT_STATE = ("Read it again and act on the state that it is in.", "请重新读取，再根据其当前状态行事。")


def _with(en: str, zh: str, advice: tuple[str, str]) -> Explanation:
    return _said((en, advice[0]), (zh, advice[1]))


EXPLANATIONS: Mapping[str, Explanation] = {
    "bad_request": _said(
        ("The request could not be read as HTTP.", "Check the client, or the proxy before it."),
        ("无法按 HTTP 解读该请求。", "请检查客户端或其前面的代理。"),
    ),
    "malformed_json": _said(
        ("The body is not JSON.", "Send one JSON object, encoded as UTF-8."),
        ("请求体不是 JSON。", "请发送一个 UTF-8 编码的 JSON 对象。"),
    ),
    "bad_credentials": _said(
        ("The account is unknown or the password is wrong; which of the two is not said.", "Check both and try again."),
        ("账号不存在或密码错误；为安全起见不说明是哪一种。", "请检查两者后重试。"),
    ),
    "refresh_token_invalid": _with(
        "The refresh token is unknown, has expired, or its session has ended.",
        "刷新令牌无效、已过期，或其会话已结束。",
        _SIGN_IN_ANEW,
    ),
    "refresh_token_reused": _said(
        (
            "The refresh token was exchanged before. Somebody may have copied it, so its session has been ended.",
            "Sign in again; if it was not your own client, change the password.",
        ),
        (
            "该刷新令牌此前已被使用，可能遭到复制，因此其会话已被结束。",
            "请重新登录；若并非您自己的客户端所为，请修改密码。",
        ),
    ),
    "share_locked": _said(
        ("The link opens with a password.", "Open it in a browser and give the password that its owner told you."),
        ("该链接需要密码。", "请在浏览器中打开它，并输入分享者告知的密码。"),
    ),
    "share_password_wrong": _said(
        ("This is not the link's password.", "Check it and try again, or ask who gave you the link."),
        ("链接密码不正确。", "请检查后重试，或询问分享者。"),
    ),
    "token_expired": _with("The access token was good and has expired.", "访问令牌已过期。", _SIGN_IN),
    "token_invalid": _with(
        "The token or API key is malformed, was not issued here, or was made for another service.",
        "令牌或 API 密钥格式不对，或并非由本服务签发。",
        _SIGN_IN,
    ),
    "token_missing": _said(
        ("The call needs a token.", "Send Authorization: Bearer with an access token or an API key."),
        ("该调用需要令牌。", "请在 Authorization: Bearer 中附上访问令牌或 API 密钥。"),
    ),
    "token_revoked": _with(
        "The token's session, API key or account has been ended.",
        "该令牌所属的会话、API 密钥或账号已被终止。",
        _SIGN_IN_ANEW,
    ),
    "unauthenticated": _with("The service does not know who calls.", "服务不知道调用者是谁。", _SIGN_IN),
    "caller_not_allowed": _said(
        ("You are known, and this call is not for you.", "An operator can do it, or make you one."),
        ("身份已确认，但无权进行该调用。", "请联系管理员代办或授权。"),
    ),
    "download_not_allowed": _said(
        ("The link shows the picture; its owner does not give the original away.", "Ask who gave you the link."),
        ("该链接仅供查看，所有者未开放原图下载。", "请询问分享者。"),
    ),
    "link_invalid": _said(
        ("The link's signature is wrong or it has expired.", "Read the result again: its image_url is a fresh link."),
        ("链接的签名有误或已过期。", "请重新读取结果，其 image_url 是新的链接。"),
    ),
    "permission_denied": _said(
        ("You may not do this.", "Ask an operator."),
        ("无权进行此操作。", "请联系管理员。"),
    ),
    "scope_missing": _said(
        (
            "The API key is good, but not for this call; some calls no key may make.",
            "Use a key with the scope that the detail names, or the access token of a session.",
        ),
        (
            "API 密钥有效，但不能用于该调用；有些调用任何密钥都不能进行。",
            "请使用带有 detail 所述权限的密钥，或会话的访问令牌。",
        ),
    ),
    "wrong_password": _said(
        ("The password that was to confirm this is not the account's.", "Check it and try again."),
        ("用于确认的密码不正确。", "请检查后重试。"),
    ),
    "api_key_not_found": _with(
        "There is no such API key, or it belongs to somebody else.", "没有这个 API 密钥，或它属于他人。", _READ_AGAIN
    ),
    "not_found": _said(
        ("There is nothing at this address.", "Check the path; /docs lists every one."),
        ("此地址没有任何内容。", "请检查路径；/docs 列出了所有路径。"),
    ),
    "recipe_unknown": _said(
        (
            "The picture is from before it was noted what pictures are painted from.",
            "Look for its task in the history: as long as that is kept, it has the prompt and the parameters.",
        ),
        (
            "该图片生成时尚未记录其提示词和参数。",
            "请在历史记录中查找对应的任务：只要任务还在，其中就有提示词和参数。",
        ),
    ),
    "result_not_found": _with(
        "There is no such picture, it was deleted, or it belongs to somebody else.",
        "没有这张图片，它已被删除，或它属于他人。",
        _READ_AGAIN,
    ),
    "session_not_found": _with(
        "There is no such session, or it belongs to somebody else.", "没有这个会话，或它属于他人。", _READ_AGAIN
    ),
    "share_not_found": _with(
        "There is no such link, or it belongs to somebody else.", "没有这个链接，或它属于他人。", _READ_AGAIN
    ),
    "task_not_found": _with(
        "There is no such task, or it belongs to somebody else.", "没有这个任务，或它属于他人。", _READ_AGAIN
    ),
    "user_not_found": _said(
        ("The account no longer exists.", "Register a new one."),
        ("该账号已不存在。", "请重新注册。"),
    ),
    "worker_not_found": _with("There is no such worker.", "没有这个工作节点。", _READ_AGAIN),
    "method_not_allowed": _said(
        ("The path exists and does not know this method.", "The header Allow names the methods that it knows."),
        ("该路径存在，但不支持此方法。", "响应头 Allow 列出了可用的方法。"),
    ),
    "aborted": _with("Something else changed it at the same time.", "同一时刻另有操作改动了它。", _LOOK_AT_STATE),
    "already_exists": _said(
        ("It exists already.", "Choose another name, or use what is there."),
        ("它已经存在。", "请换一个名称，或使用已有的。"),
    ),
    "email_taken": _said(
        ("Another account has this e-mail address.", "Sign in with it, or use another address."),
        ("该邮箱已被其他账号使用。", "请用它登录，或换一个邮箱。"),
    ),
    "failed_precondition": _with("Its state does not allow this.", "其当前状态不允许此操作。", _LOOK_AT_STATE),
    "model_unavailable": _said(
        ("The model is switched off, or no worker has its files.", "Choose another model; /api/v1/models says why."),
        ("该模型已停用，或没有工作节点拥有其文件。", "请选择其他模型；/api/v1/models 说明了原因。"),
    ),
    "storage_full": _said(
        (
            "The account's pictures take all the storage that they may, so nothing more is accepted.",
            "Delete pictures that you no longer need; /api/v1/results/storage says what they take.",
        ),
        (
            "该账号的图片已用完可用的存储空间，因此不再接受新的任务。",
            "请删除不再需要的图片；/api/v1/results/storage 说明了已用空间。",
        ),
    ),
    "task_finished": _with(
        "The task has already completed or failed, so it cannot be canceled.",
        "任务已完成或已失败，无法取消。",
        _LOOK_AT_STATE,
    ),
    "username_taken": _said(
        ("Another account has this username.", "Choose another one."),
        ("该用户名已被使用。", "请换一个用户名。"),
    ),
    "data_loss": _with("The data is lost.", "数据已丢失。", _REPORT),
    "picture_lost": _said(
        (
            "The store has lost the picture's bytes.",
            "Ask for it anew: the same model, parameters and seed paint it again.",
        ),
        ("存储丢失了该图片的数据。", "请用相同的模型、参数和种子重新生成。"),
    ),
    "share_ended": _said(
        (
            "The link has expired or been revoked, or its picture was deleted.",
            "Ask who gave you the link for another one; its owner can make one.",
        ),
        ("该链接已过期或已被撤销，或其图片已被删除。", "请向分享者索取新链接；图片所有者可以重新创建。"),
    ),
    "content_too_large": _said(
        ("The body is larger than 1 MiB.", "Send less."),
        ("请求体超过 1 MiB。", "请缩小请求体。"),
    ),
    "unsupported_media_type": _said(
        ("The body does not say that it is JSON.", "Send Content-Type: application/json."),
        ("请求体未声明为 JSON。", "请发送 Content-Type: application/json。"),
    ),
    "range_not_satisfiable": _said(
        (
            "Range asks for bytes that the picture does not have.",
            "Content-Range says how many there are; ask for some of those, or for the whole.",
        ),
        ("Range 请求了图片中不存在的字节。", "Content-Range 给出了总字节数；请请求其中的一部分，或整张图片。"),
    ),
    "invalid_argument": _with("The request breaks a rule.", "请求违反了某条规则。", _LOOK_AT_ERRORS),
    "invalid_cursor": _said(
        (
            "The cursor was not made by this service, or came with other filters.",
            "Begin without one, and follow next_cursor or the Link header.",
        ),
        ("该游标并非由本服务生成，或属于另一组筛选条件。", "请不带游标重新开始，再沿 next_cursor 或 Link 头继续。"),
    ),
    "invalid_field": _with(
        "A field, a query parameter or a header breaks a rule, or a field is not known.",
        "某个字段、查询参数或请求头违反了规则，或字段不存在。",
        _LOOK_AT_ERRORS,
    ),
    "model_unknown": _said(
        ("There is no model of this name.", "/api/v1/models lists them."),
        ("没有这个名称的模型。", "/api/v1/models 列出了所有模型。"),
    ),
    "out_of_range": _with("A value is out of range.", "某个值超出了范围。", _LOOK_AT_ERRORS),
    "parameter_out_of_range": _with(
        "A parameter is outside what the model allows; /api/v1/models has each model's limits.",
        "某个参数超出模型允许的范围；/api/v1/models 给出了各模型的限制。",
        _LOOK_AT_ERRORS,
    ),
    "request_id_reused": _said(
        (
            "The Idempotency-Key was used before, for another request.",
            "Use a new key for a new request; repeat an old one unchanged.",
        ),
        ("该 Idempotency-Key 此前已用于另一个请求。", "新请求请用新的键；重试旧请求时内容须保持不变。"),
    ),
    "rate_limited": _said(
        (
            "Too many requests within a minute.",
            "Wait for the seconds that Retry-After names. The header RateLimit says how many are left.",
        ),
        ("一分钟内请求过多。", "请等待 Retry-After 所示的秒数。响应头 RateLimit 说明剩余次数。"),
    ),
    "resource_exhausted": _with("Too much was asked for.", "请求的数量过多。", _RETRY),
    "too_many_api_keys": _said(
        ("The account has as many API keys as it may.", "Revoke those that are no longer used."),
        ("该账号的 API 密钥已达上限。", "请撤销不再使用的密钥。"),
    ),
    "too_many_downloads": _said(
        (
            "A hundred pictures are being downloaded at once from this address.",
            "Wait until some of them have come, and read them without pauses.",
        ),
        ("该地址正在同时下载一百张图片。", "请等其中一些下载完成，并不间断地读取。"),
    ),
    "too_many_attempts": _said(
        (
            "Too many wrong passwords for this account or link or from this address, or too many new accounts.",
            "Wait for the seconds that Retry-After names.",
        ),
        ("该账号、链接或地址的密码错误次数过多，或注册过于频繁。", "请等待 Retry-After 所示的秒数。"),
    ),
    "too_many_shares": _said(
        ("The picture has as many links that open it as it may.", "Revoke those that are no longer used."),
        ("该图片的有效链接已达上限。", "请撤销不再使用的链接。"),
    ),
    "too_many_streams": _said(
        ("You have as many streams of all your tasks open as you may.", "End those that nobody reads, then try again."),
        ("同时打开的任务事件流已达上限。", "请关闭不再使用的事件流后重试。"),
    ),
    "user_queue_full": _said(
        ("You have as many unfinished tasks as you may.", "Wait until one has ended, or cancel one."),
        ("未完成的任务已达上限。", "请等待其中一个结束，或取消一个。"),
    ),
    "headers_too_large": _said(
        ("The request's headers are too large.", "Send fewer or shorter headers."),
        ("请求头过大。", "请减少或缩短请求头。"),
    ),
    "internal": _with("Something went wrong inside; it has been logged.", "内部出错，已记录在日志中。", _REPORT),
    "unknown": _with("Something went wrong inside; it has been logged.", "内部出错，已记录在日志中。", _REPORT),
    "unimplemented": _said(
        ("A service does not know this call yet.", "Its version is older than the gateway's: tell the operator."),
        ("某个服务尚不支持该调用。", "它的版本旧于网关，请告知管理员。"),
    ),
    "cancelled": _with("The call was broken off inside.", "调用在内部被中断。", _RETRY),
    "dependency_unavailable": _with(
        "Something that the service stands on is away for the moment.", "服务所依赖的某个组件暂时不可用。", _RETRY
    ),
    "not_ready": _with("A service behind the gateway does not answer.", "网关背后的某个服务没有响应。", _RETRY),
    "unavailable": _with("The service is away for the moment.", "服务暂时不可用。", _RETRY),
    "deadline_exceeded": _said(
        ("The service did not answer in time.", "Try again with the same Idempotency-Key: nothing is done twice."),
        ("服务未能及时响应。", "请使用相同的 Idempotency-Key 重试，不会重复执行。"),
    ),
}
"""Every code of gateway/problems.py."""
