<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Authentication;

use Drupal\commerce_waybill\Signing\MessageSignature;
use Drupal\commerce_waybill\Signing\RefusedSignature;
use Drupal\commerce_waybill\Signing\SecretResolver;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\Authentication\AuthenticationProviderInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Session\AccountInterface;
use Drupal\user\UserInterface;
use Psr\Log\LoggerInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Exception\UnauthorizedHttpException;

/**
 * Lets the middleware sign its requests instead of sending a password.
 *
 * A wrong signature is a 401 with its reason, never an anonymous request.
 */
class SignatureProvider implements AuthenticationProviderInterface {

  public function __construct(
    private readonly ConfigFactoryInterface $configFactory,
    private readonly SecretResolver $secrets,
    private readonly NonceStore $nonces,
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly TimeInterface $time,
    private readonly LoggerInterface $logger,
  ) {}

  /**
   * {@inheritdoc}
   */
  public function applies(Request $request): bool {
    return self::isSigned($request);
  }

  /**
   * Whether a request carries a signature that is meant for this module.
   */
  public static function isSigned(Request $request): bool {
    return str_contains((string) $request->headers->get('Signature-Input'), ';tag="waybill:');
  }

  /**
   * {@inheritdoc}
   */
  public function authenticate(Request $request): AccountInterface {
    try {
      return $this->accountOf($request);
    }
    catch (RefusedSignature $refused) {
      $this->logger->warning('A signed request to @path was refused: @why', [
        '@path' => $request->getPathInfo(),
        '@why' => $refused->getMessage(),
      ]);
      // In the header too: nothing is routed yet, so the body is a page.
      $challenge = sprintf('Signature error="invalid_signature", error_description="%s"', addcslashes($refused->getMessage(), '"\\'));
      throw new UnauthorizedHttpException($challenge, $refused->getMessage(), $refused);
    }
  }

  /**
   * Finds the account that a request acts as.
   *
   * @throws \Drupal\commerce_waybill\Signing\RefusedSignature
   *   When the request is not signed as it must be.
   */
  private function accountOf(Request $request): AccountInterface {
    $settings = $this->configFactory->get('commerce_waybill.settings');
    $headers = array_map(
      static fn (string $name): string => (string) $request->headers->get($name),
      ['input' => 'Signature-Input', 'signature' => 'Signature', 'digest' => 'Content-Digest'],
    );
    $signature = MessageSignature::parse($headers['input'], $headers['signature']);
    if ($signature->tag !== $settings->get('site_tag')) {
      throw new RefusedSignature('The signature is for another site.');
    }
    $key = array_column((array) $settings->get('keys'), NULL, 'id')[$signature->keyId] ?? NULL;
    if (!$key || $this->secrets->mistake((string) $key['secret'])) {
      throw new RefusedSignature('The key is not known, or it has no usable secret here.');
    }
    $secret = $this->secrets->resolve((string) $key['secret']);
    $target = (string) $request->server->get('REQUEST_URI');
    $now = $this->time->getRequestTime();
    $signature->verify($request->getMethod(), $target, $request->getContent(), $headers['digest'], $secret, $now);
    $account = $this->account((string) $key['account']);
    // Last of all: a request that is refused for another reason does not use
    // its nonce up. Requests that change nothing may be repeated.
    $expires = $signature->created + MessageSignature::TOLERANCE + 1;
    if (!MessageSignature::isSafe($request->getMethod()) && !$this->nonces->spend($signature->keyId, $signature->nonce, $expires)) {
      throw new RefusedSignature('The nonce was used before.');
    }
    return $account;
  }

  /**
   * Loads the active account of a name.
   */
  private function account(string $name): UserInterface {
    $storage = $this->entityTypeManager->getStorage('user');
    $found = $name === '' ? [] : $storage->loadByProperties(['name' => $name, 'status' => 1]);
    $account = reset($found);
    if (!$account instanceof UserInterface) {
      throw new RefusedSignature("The key's account does not exist or is blocked.");
    }
    return $account;
  }

}
